"""Bytes of user-space memory per idle client: the slope between FEW and MANY clients."""

from harness import (CLIENTS, PEER, WAIT_FOR_BYTES, Benchmark, echo_server, ecm, haproxy, hub, idle, time, wait_until)

FEW = 1_000
MANY = 18_000
# A process may have 20,000 descriptors here; HAProxy needs two for each client that has a connection to the server.
MANY_IN_PAIRS = 9_000


def slope(process, address, many, descriptors_each=1, words=()):
    with idle(address, FEW, *words):
        few_bytes = settled(process, FEW * descriptors_each)
        with idle(address, many - FEW, *words):
            return (settled(process, many * descriptors_each) - few_bytes) / (many - FEW)


def settled(process, descriptors):
    wait_until(lambda: process.descriptors() >= descriptors, f"{descriptors} descriptors are open")
    time.sleep(0.3)
    return process.own_memory()


def ours_idle():
    with hub("echo:"), ecm() as edge:
        benchmark.add("ECM, clients that have said nothing", slope(edge, CLIENTS, MANY))


def ours_with_sessions():
    with hub("echo:") as far, ecm() as edge:
        far_before = far.own_memory()
        benchmark.add("ECM, clients with a session", slope(edge, CLIENTS, MANY, words=("--say", "200")))
        benchmark.add("hub with echo:, each session (from 0)", (far.own_memory() - far_before) / MANY)


def haproxy_idle():
    with echo_server(), haproxy(WAIT_FOR_BYTES) as peer:
        benchmark.add("HAProxy, clients that have said nothing", slope(peer, PEER, MANY))


def haproxy_with_servers():
    with echo_server(), haproxy() as peer:
        benchmark.add("HAProxy, clients with a server connection", slope(peer, PEER, MANY_IN_PAIRS, 2, ("--say", "200")))


benchmark = Benchmark("idle-memory", __doc__)
for number in benchmark.each_round():
    steps = [ours_idle, haproxy_idle, ours_with_sessions, haproxy_with_servers]
    for step in steps if number % 2 else reversed(steps):
        step()
benchmark.finish([
    ("bytes per idle client in the ECM", benchmark.median("ECM, clients that have said nothing"), 64, True),
    ("the same, with a session", benchmark.median("ECM, clients with a session"), 64, True),
])
