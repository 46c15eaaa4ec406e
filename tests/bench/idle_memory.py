"""Bytes of user-space memory per idle client: the slope between FEW and MANY clients. One that has said nothing is a stranger to the ECM, who
is to log in within LoginTimeout, and is kept an eye on until then."""

from ejabberd import Ejabberd
from harness import CLIENTS, NGINX_PEER, NGINX_WAIT_FOR_BYTES, PEER, WAIT_FOR_BYTES, Benchmark, Nginx, ecm, haproxy, hub, time, wait_until
from load import connections, echo_server

FEW = 1_000
MANY = 18_000
# A process may have 20,000 descriptors here; the peers need two for each client that has a connection to the server.
MANY_IN_PAIRS = 9_000


def slope(process, address, many, descriptors_each=1, talk=False, beside=(), rest=0.3):
    """Of the process that holds the clients; then of those beside it. They get `rest` seconds to do what is left to be done."""
    measured = [process, *beside]
    # What has been said went through rings and buffers that are the same for any number of clients; they are all touched
    # before the first look.
    with connections(address, FEW, say=16_384 if talk else 0):
        few = settled(process, FEW * descriptors_each, measured, rest)
        with connections(address, many - FEW, say=200 if talk else 0):
            all_of_them = settled(process, many * descriptors_each, measured, rest)
            return [(after - before) / (many - FEW) for before, after in zip(few, all_of_them)]


def settled(process, descriptors, measured, rest):
    wait_until(lambda: process.descriptors() >= descriptors, f"{descriptors} descriptors are open", patience=60)
    time.sleep(rest)
    return [each.own_memory() for each in measured]


def ours_idle():
    with hub("echo:"), ecm() as edge:
        benchmark.add("ECM, clients that have said nothing", *slope(edge, CLIENTS, MANY))


def ours_with_sessions():
    # By when each had to log in is forgotten when that moment comes.
    with hub("echo:") as far, ecm("--Ecm:Limits:LoginTimeout", "5s") as edge:
        of_edge, of_hub = slope(edge, CLIENTS, MANY, talk=True, beside=[far], rest=6)
        benchmark.add("ECM, clients with a session", of_edge)
        benchmark.add("hub with echo:, sessions", of_hub)


def haproxy_idle():
    with echo_server(), haproxy(WAIT_FOR_BYTES) as peer:
        benchmark.add("HAProxy, clients that have said nothing", *slope(peer, PEER, MANY))


def haproxy_with_servers():
    with echo_server(), haproxy() as peer:
        benchmark.add("HAProxy, clients with a server connection", *slope(peer, PEER, MANY_IN_PAIRS, 2, talk=True))


def nginx_idle():
    with echo_server(), Nginx(NGINX_WAIT_FOR_BYTES) as peer:
        benchmark.add("nginx, clients that have said nothing", *slope(peer, NGINX_PEER, MANY))


def nginx_with_servers():
    with echo_server(), Nginx() as peer:
        benchmark.add("nginx, clients with a server connection", *slope(peer, NGINX_PEER, MANY_IN_PAIRS, 2, talk=True))


def ejabberd_idle():
    # It would send them away after half a minute.
    with Ejabberd("negotiation_timeout: 1 hour") as server:
        benchmark.add("ejabberd, clients that have said nothing", *slope(server, server.direct, MANY, rest=3))


benchmark = Benchmark("idle-memory", __doc__)
for number in benchmark.each_round():
    steps = [ours_idle, haproxy_idle, nginx_idle, ejabberd_idle, ours_with_sessions, haproxy_with_servers, nginx_with_servers]
    for step in steps if number % 2 else reversed(steps):
        step()
benchmark.finish([
    ("bytes per idle client in the ECM", benchmark.median("ECM, clients with a session"), 64, True),
])
