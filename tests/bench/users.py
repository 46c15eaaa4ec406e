"""Bytes of memory per idle user who is logged in to ejabberd, directly or through ECM and hub: the slope from FEW to MANY."""

from ejabberd import Ejabberd, crowd
from harness import CLIENTS, Benchmark, ecm, forget_earlier_connections, hub, kernel

FEW = 3_000
MANY = 6_000
SLOWLY = ["--pending", 32]  # what many logins at the same time need would stay with ejabberd


def slope(way, server, address, beside):
    """Adds what each user costs the server, and the processes that are named beside it."""
    def look():
        server.wait_until_idle()
        return [*kernel(), server.own_memory(), *(process.own_memory() for process in beside.values())]

    forget_earlier_connections()
    live = server.live()
    # What the few say goes around in rings that are the same for any number of users; they are all touched then.
    with crowd("xmpp", address, FEW, server, *SLOWLY):
        few = look()
        with crowd("xmpp", address, MANY - FEW, server, *SLOWLY):
            slab, sockets, resident, *rest = [after - before for before, after in zip(few, look())]
            logged_in = server.users()
            live = server.live() - live  # last, as it sweeps away what the others measure
    each = MANY - FEW
    benchmark.add(f"{way}: KiB in ejabberd, resident", resident / each / 1024)
    benchmark.add(f"{way}: KiB in ejabberd, less garbage", live / MANY / 1024)
    for name, grown in zip(beside, rest):
        benchmark.add(f"{way}: bytes in the {name}", grown / each)
    benchmark.add(f"{way}: KiB in the kernel for each TCP socket", slab / sockets / 1024)
    benchmark.add(f"{way}: users logged in at the end", logged_in)


def directly():
    with Ejabberd() as server:
        slope("directly", server, server.direct, {})


def through_ecm_and_hub():
    with Ejabberd() as server, hub(f"tcp://{server.proxy}") as far, ecm("--Ecm:Proxy", "v2") as edge:
        slope("ECM and hub", server, CLIENTS, {"ECM": edge, "hub": far})


benchmark = Benchmark("users", __doc__)
for number in benchmark.each_round():
    steps = [directly, through_ecm_and_hub]
    for step in steps if number % 2 else reversed(steps):
        step()
benchmark.finish([
    ("bytes per logged-in user in the ECM", benchmark.median("ECM and hub: bytes in the ECM"), 64, True),
    (f"of {MANY:,} users, logged in at the end", min(benchmark.values["ECM and hub: users logged in at the end"]), MANY, False),
])
