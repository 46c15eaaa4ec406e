"""Messages to users who sleep, over a link, beside messages to users who are connected to ejabberd directly and awake: what each
costs ejabberd at a fixed rate, and how many it delivers in a second; each in an ejabberd of its own."""

from ejabberd import Ejabberd, grown, play
from harness import Benchmark

USERS = 9_000
RATE = 2_000
SECONDS = 20
FLOOD = 50_000   # messages, as fast as they are taken
IDLE = 4         # seconds; sessions fall asleep after one, so that at the rate nearly every message wakes two


def talk(way, mode):
    for rate, messages in ((RATE, RATE * SECONDS), (FLOOD, FLOOD)):
        with Ejabberd(EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1", EJABBERD_LINK_MORE="hibernate_after: 1") as server:
            figures = play(mode, server.links if mode == "link" else server.direct, USERS, server,
                           "--messages", str(messages), "--message-rate", str(rate), hold=IDLE)
        cpu = grown(figures, server, "cpu_seconds", "after messages", since="after hold")
        if rate == RATE:
            benchmark.add(f"{way}: CPU µs/message at {RATE}/s", cpu / messages * 1e6)
            benchmark.add(f"{way}: p99 ms at {RATE}/s", figures["message_latency_us"]["p99"] / 1e3)
        else:
            benchmark.add(f"{way}: messages/s", figures["messages_per_second"])


benchmark = Benchmark("sleepers", __doc__, rounds=3)
for number in benchmark.each_round():
    ways = [("directly, awake", "xmpp"), ("over a link, asleep", "link")]
    for way, mode in ways if number % 2 else reversed(ways):
        talk(way, mode)
    for figure in (f"CPU µs/message at {RATE}/s", "messages/s"):
        benchmark.add(f"{figure}, asleep : awake",
                      benchmark.values[f"over a link, asleep: {figure}"][-1] / benchmark.values[f"directly, awake: {figure}"][-1])
benchmark.finish([
    ("CPU per message, asleep : awake", benchmark.median(f"CPU µs/message at {RATE}/s, asleep : awake"), 1.3, True),
    ("messages/s, asleep : awake", benchmark.median("messages/s, asleep : awake"), 1 / 1.3, False),
])
