"""KiB of memory per idle user who is logged in to ejabberd: sessions that come over a link and sleep, beside users who connect
to it directly; each in an ejabberd of its own, with none of its own modules (modules: {}) and with those of Debian."""

from ejabberd import cost_of_users
from harness import Benchmark

DIRECT = 9_000
SESSIONS = (10_000, 100_000)


def users(mode, count, modules):
    for figure, value in cost_of_users(mode, count, modules).items():
        benchmark.add(f"{count:,} {'over a link' if mode == 'link' else 'directly'}, modules: {modules}: {figure}", value)


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
