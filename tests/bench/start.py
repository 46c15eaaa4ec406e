"""Size of the binary, time from its start until it says that it is ready, and memory when idle. Both roles, everything as
by default but for the addresses."""

import os
import pathlib

from harness import CLIENTS, HAPROXY, LINK, MEGAPHONE, Benchmark, Child, haproxy, time
from load import echo_server

MIB = 2**20


def ours():
    with Child(MEGAPHONE, "--Ecm:Clients:0:Listen", CLIENTS, "--Ecm:Link:To", LINK, "--Hub:Listen", LINK,
               "--Admin:Listen", "127.88.0.6:6281", ready="megaphone ready") as both:
        measure("megaphone", both)


def peer():
    with echo_server(), haproxy() as hop:
        measure("HAProxy", hop)


def measure(name, process):
    benchmark.add(f"{name}: ms until ready", process.ready_after * 1000)
    time.sleep(1)
    benchmark.add(f"{name}: MiB resident when idle", process.status("VmRSS") / MIB)
    benchmark.add(f"{name}: MiB of that its own", process.own_memory() / MIB)


benchmark = Benchmark("start", __doc__, rounds=11)
root = pathlib.Path(__file__).resolve().parent.parent.parent
benchmark.add("megaphone: MB of the file", (root / MEGAPHONE).stat().st_size / 1e6)
benchmark.add("HAProxy: MB of the file", os.stat(HAPROXY).st_size / 1e6)
for number in benchmark.each_round():
    for step in (ours, peer) if number % 2 else (peer, ours):
        step()
benchmark.finish([
    ("MB of the file", benchmark.median("megaphone: MB of the file"), 12, True),
    ("ms until ready", benchmark.median("megaphone: ms until ready"), 100, True),
    ("MiB resident when idle", benchmark.median("megaphone: MiB resident when idle"), 25, True),
])
