"""Plays the attacks of tests/attacks, one after the other, each against processes of its own, while 200 honest clients chat, each with one other,
half of them plain and half with TLS: through an ECM into ejabberd's module, and where the same attack can be had, through HAProxy that tells
ejabberd the clients' addresses (send-proxy-v2), and in ejabberd itself. Before each attack as long without it."""

import json
import os
import statistics
import sys
import tempfile

from harness import MEGAPHONE, ROOT, Benchmark, progress, start

OURS = "Megaphone"
FRONTS = {OURS: [], "HAProxy": ["--peer", "haproxy"], "ejabberd": ["--peer", "ejabberd"]}
MIB, KIB = 2**20, 2**10
# What is told of each attack, from the report's members.
FIGURES = {
    "p99 ms without it": lambda told: told["p99_without_ms"],
    "longest ms without it": lambda told: told["longest_without_ms"],
    "p99 ms": lambda told: told["p99_ms"],
    "longest ms": lambda told: told["longest_ms"],
    "harmed": lambda told: told["harmed"],
    "MiB before": lambda told: told["memory_before_bytes"] / MIB,
    "MiB at the peak": lambda told: told["memory_peak_bytes"] / MIB,
    "KiB of log": lambda told: told["log_bytes"] / KIB,
    "logins, p99 ms": lambda told: told["logins_p99_ms"],
    "logins, longest ms": lambda told: told["logins_longest_ms"],
}
# These have ejabberd calculate, whatever is in front of it, on the cores that everybody shares.
CALCULATES = "failing-logins"


def play(front, options, seconds):
    with tempfile.NamedTemporaryFile("r") as report:
        command = [ROOT / "tests" / "attacks" / "run.sh", "--seconds", str(seconds), "--json", report.name, *options]
        # 1: a bound was not kept, which the figures tell.
        if start(command, env={**os.environ, "MEGAPHONE_BINARY": os.path.abspath(ROOT / MEGAPHONE)}).wait() not in (0, 1):
            sys.exit(f"{' '.join(map(str, command))} failed")
        for told in json.load(report):
            for figure, value in FIGURES.items():
                if (found := value(told)) is not None:
                    benchmark.add(f"{told['attack']}, {front}: {figure}", found)
            if front == OURS:
                longer.setdefault(told["attack"], []).append(told["longest_ms"] - told["longest_without_ms"])


def most(figure):
    return max(benchmark.median(name) for name in benchmark.values if name.endswith(f", {OURS}: {figure}"))


def longest(calculates):
    return max((statistics.median(by) for attack, by in longer.items() if attack.startswith(CALCULATES) == calculates), default=0)


benchmark = Benchmark("attacks", __doc__, rounds=1, options={
    "--seconds": {"type": int, "default": 5, "help": "how long each attack is played, floods of logins three times as long; default 5"},
    "--attacks": {"help": "only these, names of tests/attacks/run.sh with commas between them, against Megaphone alone"},
})
longer = {}
played = benchmark.options.attacks.split(",") if benchmark.options.attacks else []
for _ in benchmark.each_round():
    for name, given in FRONTS.items():
        if name == OURS or not played:
            progress(f"attacks: {name}")
            play(name, [*given, *played], 1 if benchmark.options.quick else benchmark.options.seconds)

benchmark.finish([
    ("honest clients harmed by an attack", most("harmed"), 0, True),
    ("longest wait beyond that without an attack, ms, of all but failing logins", longest(calculates=False), 50, True),
    ("the same with failing logins, which have the server calculate", longest(calculates=True), 50, True),
    ("log of an attack, KiB", most("KiB of log"), 64, True),
])
