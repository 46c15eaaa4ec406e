"""Headers parsed and written per second on one core, and packets found in a stream; in process, beside the plain scanner."""

import re
import subprocess

from harness import ROOT, Benchmark

PROJECT = "tests/bench/Megaphone.Microbench"

benchmark = Benchmark("headers", __doc__)
for _ in benchmark.each_round():
    table = subprocess.run(["dotnet", "run", "-c", "Release", "--project", PROJECT], stdout=subprocess.PIPE, text=True,
                           cwd=ROOT, check=True, timeout=120).stdout
    for figure, median, allocated in re.findall(r"^(\S.*?)\s{2,}([\d.]+)\s+[\d.]+\s+[\d.]+\s+(\d+)$", table, re.M):
        benchmark.add(f"million {figure} per second", float(median))
        benchmark.add("bytes allocated", int(allocated))
benchmark.finish([
    ("million headers parsed per second", benchmark.median("million headers parsed per second"), 60, False),
    ("million headers written per second", benchmark.median("million headers written per second"), 25, False),
    ("bytes allocated for all of them", max(benchmark.values["bytes allocated"]), 0, True),
])
