"""Messages from users who are awake to users who sleep, over a link, beside messages between users who are connected to ejabberd
directly and awake: what each costs ejabberd, and how many it delivers in a second; each in an ejabberd of its own."""

from ejabberd import Ejabberd, play
from harness import Benchmark
from load import grown

USERS = 18_000   # an ejabberd's descriptors are enough for that many
SENDERS = 100    # of them; they write to the others in turn, so that each is asleep again when its turn comes
RATE = 6_000     # per second: to each receiver one in three seconds
QUIET_RATE = 2_000
SECONDS = 15
IDLE = 4         # seconds before the first message; sessions fall asleep after one
WAYS = ("directly, awake", "xmpp"), ("over a link, asleep", "link")


def talk(way, mode, rate, messages):
    with Ejabberd(EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1", EJABBERD_LINK_MORE="hibernate_after: 1") as server:
        more = ["--senders", str(SENDERS), "--messages", str(messages), "--message-rate", str(rate or 1_000_000)]
        figures = play(mode, server.links if mode == "link" else server.direct, USERS, server, *more, hold=IDLE)
    how = f"at {rate}/s" if rate else "flat out"
    cpu = grown(figures, server, "cpu_seconds", "after messages", since="after hold")
    benchmark.add(f"{way}: CPU µs/message {how}", cpu / messages * 1e6)
    if rate:
        benchmark.add(f"{way}: p99 ms {how}", figures["message_latency_us"]["p99"] / 1e3)
    else:
        benchmark.add(f"{way}: messages/s", figures["messages_per_second"])


benchmark = Benchmark("sleepers", __doc__, rounds=3)
for number in benchmark.each_round():
    # As fast as they are taken, one message for each receiver: the next would find it awake.
    for rate, messages in ((0, USERS - SENDERS), (RATE, RATE * SECONDS), (QUIET_RATE, QUIET_RATE * SECONDS)):
        for way, mode in WAYS if number % 2 else reversed(WAYS):
            talk(way, mode, rate, messages)
    for figure in ("CPU µs/message flat out", "messages/s", f"CPU µs/message at {RATE}/s", f"CPU µs/message at {QUIET_RATE}/s"):
        benchmark.add(f"{figure}, asleep : awake",
                      benchmark.values[f"over a link, asleep: {figure}"][-1] / benchmark.values[f"directly, awake: {figure}"][-1])
benchmark.finish([
    ("messages/s to sleepers : to those awake", benchmark.median("messages/s, asleep : awake"), 1 / 1.3, False),
    ("CPU per message to sleepers : to those awake, flat out", benchmark.median("CPU µs/message flat out, asleep : awake"), 1.3, True),
    (f"the same at {RATE}/s", benchmark.median(f"CPU µs/message at {RATE}/s, asleep : awake"), 1.3, True),
])
