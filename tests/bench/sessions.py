"""KiB of memory per idle user who is logged in to ejabberd: sessions that come over a link and sleep, beside users who connect
to it directly; each in an ejabberd of its own, with none of its own modules (modules: {}) and with those of Debian."""

from ejabberd import Ejabberd, grown, play
from harness import Benchmark

DIRECT = 9_000
SESSIONS = (10_000, 100_000)
IDLE = 16  # seconds; sessions fall asleep after ten


def users(mode, count, modules):
    with Ejabberd(EJABBERD_MODULES=modules, EJABBERD_MEGAPHONE="1") as server:
        before = server.own_memory(), server.live()
        after = []
        figures = play(mode, server.links if mode == "link" else server.direct, count, server, hold=IDLE,
                       look=lambda: after.extend((server.own_memory(), server.live())))
        name = f"{count:,} {'over a link' if mode == 'link' else 'directly'}, modules: {modules}"
        benchmark.add(f"{name}: KiB, resident", (after[0] - before[0]) / count / 1024)
        benchmark.add(f"{name}: KiB, in use", (after[1] - before[1]) / count / 1024)
        benchmark.add(f"{name}: logins/s", figures["logins_per_second"])
        benchmark.add(f"{name}: CPU ms/login", grown(figures, server, "cpu_seconds", "logged in") / count * 1e3)


benchmark = Benchmark("sessions", __doc__, rounds=3)
for number in benchmark.each_round():
    ways = [("xmpp", DIRECT), *(("link", count) for count in SESSIONS)]
    for modules in ("none", "debian"):
        for mode, count in ways if number % 2 else reversed(ways):
            users(mode, count, modules)

most = f"{SESSIONS[-1]:,} over a link, modules"
benchmark.finish([
    (f"KiB in use per user, {most}: debian", benchmark.median(f"{most}: debian: KiB, in use"), 8, True),
    (f"CPU per login, {SESSIONS[0]:,} over a link : directly",
     benchmark.median(f"{SESSIONS[0]:,} over a link, modules: none: CPU ms/login")
     / benchmark.median(f"{DIRECT:,} directly, modules: none: CPU ms/login"), 1, True),
])
