"""What memory ejabberd takes at most while the sessions of a lost link, all of them asleep, are closed: the peak beside what they
took before. And how long it is until the last of them is gone. The same while a link is cut for a while, and comes back."""

import contextlib

from cable import Cable
from ejabberd import Ejabberd, crowd
from harness import Benchmark, time, wait_until
from load import Crowd, watch

SESSIONS = 200_000
IDLE = 15  # seconds; all sessions are asleep by then
PATIENCE = 120  # seconds for closing, which takes 40 at the default close_rate
CUT = 20  # seconds

# Erlang: how often links came back, and how many processes hibernate.
RESUMED = "proplists:get_value(links_resumed, maps:get(counters, ejabberd_megaphone:info()))"
ASLEEP = "length([P || P <- processes(), process_info(P, current_function) =:= {current_function, {erlang, hibernate, 3}}])"


def close(server):
    with contextlib.ExitStack() as watching:
        with crowd("link", server.links, SESSIONS, server):
            time.sleep(IDLE)
            # All are asleep when it begins to look, and it goes on beyond the loss of the link.
            peak = watching.enter_context(server.peak())
        lost = time.monotonic()
        # Only a number is asked for: a list of all users would itself take much memory.
        while (users := server.ask("ets:info(session, size)")) != "0":
            if time.monotonic() > lost + PATIENCE:
                raise SystemExit(f"{users} users are still there {PATIENCE} s after their link was lost")
            time.sleep(1)
        took = time.monotonic() - lost
    (resident, in_use), (most_resident, most_in_use) = peak.first, peak.most
    benchmark.add("resident before, MiB", resident / 2**20)
    benchmark.add("resident at most, MiB", most_resident / 2**20)
    benchmark.add("resident, at most : before", most_resident / resident)
    benchmark.add("in use before, MiB", in_use / 2**20)
    benchmark.add("in use at most, MiB", most_in_use / 2**20)
    benchmark.add("in use, at most : before", most_in_use / in_use)
    benchmark.add("seconds until all are closed", took)


def cut(server):
    with Cable(server.links) as cable, Crowd(
            "link", "--to", cable.address, "--sessions", SESSIONS, "--login", "anonymous", "--resume", "yes", *watch([server]),
            awaited="logging in", clients=SESSIONS):
        time.sleep(IDLE)
        asleep = int(server.ask(ASLEEP))
        benchmark.add("sessions asleep before a cut", asleep)
        resumed = int(server.ask(RESUMED))
        with server.peak() as peak:
            cable.cut()
            time.sleep(CUT / 4)
            woken = asleep - int(server.ask(ASLEEP))
            time.sleep(3 * CUT / 4)
            woken = max(woken, asleep - int(server.ask(ASLEEP)))
            mended = time.monotonic()
            cable.mend()
            wait_until(lambda: int(server.ask(RESUMED)) > resumed, "the link's return", 30)
            time.sleep(CUT / 4)
            woken = max(woken, asleep - int(server.ask(ASLEEP)))
        benchmark.add("seconds until a byte crosses again", cable.back - mended)
        benchmark.add(f"sessions woken by a cut of {CUT} s", woken)
        benchmark.add("sessions ended by it", SESSIONS - int(server.ask("ets:info(session, size)")))
    (resident, in_use), (most_resident, most_in_use) = peak.first, peak.most
    benchmark.add("while it is cut: resident, at most : before", most_resident / resident)
    benchmark.add("while it is cut: in use, at most : before", most_in_use / in_use)


benchmark = Benchmark("closing", __doc__, rounds=1)
for _ in benchmark.each_round():
    with Ejabberd(EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1") as started:
        close(started)
    with Ejabberd(EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1") as started:
        cut(started)

benchmark.finish([
    (f"resident memory while {SESSIONS:,} sessions are closed : before",
     benchmark.median("resident, at most : before"), 1.3, True),
    (f"memory in use while {SESSIONS:,} sessions are closed : before",
     benchmark.median("in use, at most : before"), 1.3, True),
    (f"resident memory while the link of {SESSIONS:,} sleepers is cut : before",
     benchmark.median("while it is cut: resident, at most : before"), 1.05, True),
    (f"seconds until a byte crosses again, with {SESSIONS:,} sessions", benchmark.median("seconds until a byte crosses again"), 1, True),
    ("sessions woken or ended by the cut",
     benchmark.median(f"sessions woken by a cut of {CUT} s") + benchmark.median("sessions ended by it"), 0, True),
])
