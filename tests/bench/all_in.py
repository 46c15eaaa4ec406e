"""Memory of everything that holds a user who is logged in to ejabberd and idle: real TCP clients of several ECMs with links into the
module, counting ECMs, kernel and ejabberd, beside clients that are connected to ejabberd directly, as many as it may have
descriptors for. The load generator is not counted, nor its ends of the connections."""

import contextlib
import resource

from ejabberd import ASLEEP, Ejabberd, crowd, login_rate
from harness import Benchmark, ecm, forget_earlier_connections, kernel, time

MOST = 18_000  # connections of one process; descriptors end at 20,000 where these figures were taken
OTHER_DESCRIPTORS = 500


def measure(way, server, addresses, count, edges=()):
    """Users of equal number at each address; adds what they cost."""
    forget_earlier_connections()
    server.wait_until_idle()
    slab, sockets, before = *kernel(), server.own_memory()
    with contextlib.ExitStack() as crowds:
        for number, address in enumerate(addresses):
            share = count * (number + 1) // len(addresses) - count * number // len(addresses)
            crowds.enter_context(crowd("xmpp", address, share, server, *login_rate(chosen.modules)))
        time.sleep(ASLEEP)
        server.wait_until_idle(60 + count / 100)
        (slab_after, sockets_after), after = kernel(), server.own_memory()
        parts = {
            "ejabberd, resident": (after - before) / count,
            # Both ends of each connection are on this machine, and alike; so a socket is one of two.
            "kernel, one socket": (slab_after - slab) / (sockets_after - sockets),
            # ECMs are there for these users only: all that they have counts.
            "ECMs": sum(edge.own_memory() for edge in edges) / count,
        }
        logged_in = server.users()
    for part, each in parts.items():
        benchmark.add(f"{way}: bytes, {part}", each)
    benchmark.add(f"{way}: bytes, all of it", sum(parts.values()))
    benchmark.add(f"{way}: new sockets for each user", (sockets_after - sockets) / count)
    benchmark.add(f"{way}: users logged in at the end", logged_in)


def directly():
    with Ejabberd(EJABBERD_MODULES=chosen.modules) as server:
        measure("directly", server, [server.direct], direct)


def through_ecms():
    with contextlib.ExitStack() as all_of_them:
        server = all_of_them.enter_context(Ejabberd(EJABBERD_MODULES=chosen.modules, EJABBERD_MEGAPHONE="1"))
        listeners = [f"127.88.1.{1 + number}:5222" for number in range(-(-chosen.clients // each_process))]
        edges = [all_of_them.enter_context(ecm("--Ecm:Clients:0:Listen", listener, "--Ecm:Clients:0:Framing", "stanza",
                                               "--Ecm:Link:To", server.links, "--Ecm:Proxy", "v2")) for listener in listeners]
        measure("through ECMs", server, listeners, chosen.clients, edges)


benchmark = Benchmark("all-in", __doc__, rounds=3, options={
    "--clients": {"type": int, "default": 100_000, "metavar": "N", "help": "of the ECMs, all together, default 100,000"},
    "--modules": {"choices": ["none", "debian"], "default": "debian", "help": "of ejabberd's own, default debian"},
})
chosen = benchmark.options
each_process = min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - OTHER_DESCRIPTORS)
direct = min(each_process, chosen.clients)
for round_number in benchmark.each_round():
    steps = [directly, through_ecms]
    for step in steps if round_number % 2 else reversed(steps):
        step()
    benchmark.add("bytes for each user, directly : through ECMs",
                  benchmark.values["directly: bytes, all of it"][-1] / benchmark.values["through ECMs: bytes, all of it"][-1])
benchmark.finish([
    (f"bytes for each user, {direct:,} directly : {chosen.clients:,} through ECMs",
     benchmark.median("bytes for each user, directly : through ECMs"), 4, False),
    (f"of {chosen.clients:,} users through ECMs, logged in at the end",
     min(benchmark.values["through ECMs: users logged in at the end"]), chosen.clients, False),
])
