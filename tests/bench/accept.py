"""Processor time for each connection that is accepted, and for each that is closed again by the client; the clients say
nothing."""

from harness import CLIENTS, NGINX_PEER, NGINX_WAIT_FOR_BYTES, PEER, WAIT_FOR_BYTES, Benchmark, Nginx, ecm, haproxy, hub, time, wait_until
from load import connections, echo_server

MANY = 18_000
# A process may have 20,000 descriptors here; the peers need two for each client that has a connection to the server.
MANY_IN_PAIRS = 9_000


def measure(name, process, address, many, descriptors_each=1):
    # The first connections find tables and code that nothing has touched yet.
    with connections(address, 100):
        settled(process, lambda count: count >= 100 * descriptors_each)
    settled(process, lambda count: count < 100)
    start = process.cpu()
    with connections(address, many):
        settled(process, lambda count: count >= many * descriptors_each)
        opened = process.cpu()
    settled(process, lambda count: count < 100)
    benchmark.add(f"{name}: CPU µs/connection accepted", (opened - start) / many * 1e6)
    benchmark.add(f"{name}: CPU µs/connection closed", (process.cpu() - opened) / many * 1e6)


def settled(process, enough):
    wait_until(lambda: enough(process.descriptors()), "connections are accepted or closed")
    # Nothing of it but the last few is left to be done.
    time.sleep(0.2)


def ours():
    with hub("echo:"), ecm() as edge:
        measure("ECM", edge, CLIENTS, MANY)


def haproxy_idle():
    with echo_server(), haproxy(WAIT_FOR_BYTES) as peer:
        measure("HAProxy without a server connection", peer, PEER, MANY)


def haproxy_with_servers():
    with echo_server(), haproxy() as peer:
        measure("HAProxy with a server connection", peer, PEER, MANY_IN_PAIRS, 2)


def nginx_idle():
    with echo_server(), Nginx(NGINX_WAIT_FOR_BYTES) as peer:
        measure("nginx without a server connection", peer, NGINX_PEER, MANY)


def nginx_with_servers():
    with echo_server(), Nginx() as peer:
        measure("nginx with a server connection", peer, NGINX_PEER, MANY_IN_PAIRS, 2)


benchmark = Benchmark("accept", __doc__)
for number in benchmark.each_round():
    steps = [ours, haproxy_idle, nginx_idle, haproxy_with_servers, nginx_with_servers]
    for step in steps if number % 2 else reversed(steps):
        step()
benchmark.finish([("CPU µs per accepted connection", benchmark.median("ECM: CPU µs/connection accepted"), 12, True)])
