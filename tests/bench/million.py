"""Very many users, brought onto ejabberd over one link by a process that plays an ECM: they log in, stay, write to each other at
random, and leave; no message may be lost. Beside them as many as may connect to an ejabberd directly. Neither has modules of its
own (modules: {})."""

from ejabberd import Ejabberd, cost_of_users, play
from harness import Benchmark
from load import grown

MILLION = 1_000_000
DIRECT = 18_000  # so many descriptors one process may have
GIB = 2**30
# GiB of ejabberd with so many users that are idle, and at its peak.
BUDGETS = {MILLION: (5, 8), 2 * MILLION: (9.5e9 / GIB, 16)}
MESSAGES_PER_SECOND = 2_000
CLOSE_RATE = 5_000  # sessions per second that ejabberd closes when a link is lost, by default


def directly():
    for figure, value in cost_of_users("xmpp", DIRECT, "none").items():
        benchmark.add(f"{DIRECT:,} directly: {figure}", value)


def everything(count, hold, messages, end):
    with Ejabberd(EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1") as server:
        before = server.own_memory()
        figures = play("link", server.links, count, server, "--messages", str(messages), "--message-rate", str(MESSAGES_PER_SECOND),
                       "--end", end, "--after", str(10 + 1.5 * count / CLOSE_RATE if end == "cut" else 10), hold=hold,
                       patience=hold + 900 + count / 500 + messages / 100)
        left = server.users()
        end_of_it = server.own_memory()
    phases = figures["phases"]
    up = phases["after hold"][str(server.pid)]["memory_bytes"]
    peak = figures["peak_bytes"][str(server.pid)]
    benchmark.add("users logged in", figures["logged_in"])
    benchmark.add("seconds until all were logged in", figures["login_seconds"])
    benchmark.add("logins/s", figures["logins_per_second"])
    benchmark.add("CPU ms of ejabberd for each login", grown(figures, server, "cpu_seconds", "logged in") / count * 1e3)
    benchmark.add("CPU s of ejabberd while they were idle", grown(figures, server, "cpu_seconds", "after hold", since="logged in"))
    benchmark.add("ejabberd before, MiB resident", before / 2**20)
    benchmark.add("ejabberd with all of them idle, MiB resident", up / 2**20)
    benchmark.add("KiB for each user of that", (up - before) / count / 1024)
    benchmark.add("ejabberd at its peak, closing included, MiB resident", peak / 2**20)
    benchmark.add("ejabberd after the end, MiB resident", end_of_it / 2**20)
    benchmark.add("messages that arrived", figures["messages_arrived"])
    benchmark.add("messages/s", figures["messages_per_second"])
    benchmark.add("p99 ms of a message", figures["message_latency_us"]["p99"] / 1e3)
    benchmark.add("load generator, bytes for each session",
                  (phases["after hold"]["bench"]["memory_bytes"] - phases["before"]["bench"]["memory_bytes"]) / count)
    benchmark.add("users left at the end", left)

    # Of any other number the share of a million's, on top of what ejabberd takes without any.
    most, most_at_peak = BUDGETS.get(count) or (of_a_million * count / MILLION + before / GIB for of_a_million in BUDGETS[MILLION])
    return [
        (f"GiB of ejabberd with {count:,} users", up / GIB, most, True),
        ("KiB of that for each user", (up - before) / count / 1024, 4.5, True),
        ("the same at its peak, closing included", peak / GIB, most_at_peak, True),
        (f"of {messages:,} messages, arrived", figures["messages_arrived"], messages, False),
        ("users left at the end", left, 0, True),
        ("bytes of the load generator for each session", benchmark.median("load generator, bytes for each session"), 200, True),
    ]


benchmark = Benchmark("million", __doc__, rounds=1, options={
    "--users": {"type": int, "default": MILLION, "metavar": "N", "help": f"users, default {MILLION:,}"},
    "--hold": {"type": int, "default": 300, "metavar": "SECONDS", "help": "how long they stay and do nothing, default 300"},
    "--messages": {"type": int, "default": 100_000, "metavar": "N", "help": "between random pairs, default 100,000"},
    "--end": {"choices": ["stream", "cut"], "default": "stream", "help": "close each stream in order, or just cut the link"},
})
chosen = benchmark.options
for _ in benchmark.each_round():
    directly()
    budgets = everything(chosen.users, chosen.hold, chosen.messages, chosen.end)
benchmark.finish(budgets)
