"""Processor time that clients' white-space keepalives cost ejabberd: through an ECM with stanza framing, where they end, beside
the same clients connected to ejabberd itself. Logged in, and otherwise idle."""

from ejabberd import Ejabberd, crowd
from harness import CLIENTS, Benchmark, ecm, time

USERS = 5_000
KEEPALIVES = 20_000  # per second, all users together
SETTLED = 15  # seconds; sessions that come over a link are asleep by then
WATCHED = 10  # seconds of those that follow


def keepalives(way, to, server, beside=None):
    """Adds the part of a core that ejabberd uses meanwhile, and the process that is between, if there is one."""
    watched = {"ejabberd": server} | ({"the ECM": beside} if beside else {})
    with crowd("xmpp", to, USERS, server, "--from", "127.64.0.0/24", "--keepalives", str(KEEPALIVES)):
        time.sleep(SETTLED)
        before, began = {name: process.cpu() for name, process in watched.items()}, time.monotonic()
        time.sleep(WATCHED)
        for name, process in watched.items():
            used = (process.cpu() - before[name]) / (time.monotonic() - began)
            benchmark.add(f"{way}: {name}, % of one core", used * 100)


benchmark = Benchmark("keepalives", __doc__, rounds=3)
for number in benchmark.each_round():
    for through_ecm in (True, False) if number % 2 else (False, True):
        with Ejabberd(EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1") as server:
            if through_ecm:
                with ecm("--Ecm:Link:To", server.links, "--Ecm:Clients:0:Framing", "stanza") as between:
                    keepalives("through an ECM", CLIENTS, server, between)
            else:
                keepalives("directly", server.direct, server)

benchmark.finish([
    (f"ejabberd, % of one core, at {KEEPALIVES:,} keepalives/s through an ECM",
     benchmark.median("through an ECM: ejabberd, % of one core"), 2, True),
])
