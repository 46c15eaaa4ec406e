"""Runs one part of Megaphone.Microbench and adds its figures to a benchmark."""

import re
import subprocess

from harness import ROOT

PROJECT = "tests/bench/Megaphone.Microbench"


def measure(benchmark, part):
    """Adds the figures of one part; returns what was printed."""
    table = subprocess.run(["dotnet", "run", "-c", "Release", "--project", PROJECT, "--", part], stdout=subprocess.PIPE,
                           text=True, cwd=ROOT, check=True, timeout=120).stdout
    for figure, median, allocated in re.findall(r"^(\S.*?)\s{2,}([\d.]+)\s+[\d.]+\s+[\d.]+\s+(\d+)$", table, re.M):
        benchmark.add(f"million {figure} per second", float(median))
        benchmark.add("bytes allocated", int(allocated))
    return table
