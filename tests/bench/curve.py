"""What each user costs as they become more: memory and processor time of users who are logged in to ejabberd over a link (asleep,
modules: {}), and directly as far as its descriptors go, each number of them in an ejabberd of its own; and memory of an ECM's idle clients,
more and more in one process."""

import contextlib

from ejabberd import cost_of_users
from harness import CLIENTS, Benchmark, ecm, hub, time, wait_until
from load import connections

USERS = (1_000, 10_000, 20_000, 100_000)
MILLION = 1_000_000
DIRECT = (1_000, 5_000, 10_000, 18_000)
IDLE_CLIENTS = (1_000, 2_000, 5_000, 10_000, 18_000)


def clients():
    with hub("echo:"), ecm() as edge, contextlib.ExitStack() as held:
        before, connected = edge.own_memory(), 0
        for count in IDLE_CLIENTS:
            held.enter_context(connections(CLIENTS, count - connected))
            connected = count
            wait_until(lambda: edge.descriptors() >= connected, f"{connected} clients are accepted", patience=60)
            time.sleep(0.3)
            benchmark.add(f"ECM, {count:,} clients: bytes each", (edge.own_memory() - before) / count)


def users(mode, count):
    how = " directly" if mode == "xmpp" else ""
    for figure, value in cost_of_users(mode, count, "none").items():
        benchmark.add(f"ejabberd, {count:,} users{how}: {figure}", value)


benchmark = Benchmark("curve", __doc__, rounds=3, options={
    "--million": {"action": "store_true", "help": f"{MILLION:,} users too; takes about ten minutes more for each round"},
})
counts = (*USERS, MILLION) if benchmark.options.million else USERS[:2] if benchmark.options.quick else USERS
ways = [*(("link", count) for count in counts), *(("xmpp", count) for count in (DIRECT[:2] if benchmark.options.quick else DIRECT))]
for number in benchmark.each_round():
    clients()
    for mode, count in ways if number % 2 else reversed(ways):
        users(mode, count)

few, most = f"ejabberd, {counts[1]:,} users", f"ejabberd, {counts[-1]:,} users"
benchmark.finish([
    (f"KiB in use per user, {counts[-1]:,} : {counts[1]:,} users",
     benchmark.median(f"{most}: KiB, in use") / benchmark.median(f"{few}: KiB, in use"), 1.1, True),
    (f"CPU per login, {counts[-1]:,} : {counts[1]:,} users",
     benchmark.median(f"{most}: CPU ms/login") / benchmark.median(f"{few}: CPU ms/login"), 1.25, True),
])
