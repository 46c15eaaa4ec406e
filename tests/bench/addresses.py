"""The table in which connections are counted by address, with a million addresses in it: look-ups in an order that no cache can know, on one
core, in process, and its memory."""

import re

import microbench
from harness import Benchmark

LOOKED_UP = "ns for each address looked up"
BYTES = "bytes for each address"

benchmark = Benchmark("addresses", __doc__)
for _ in benchmark.each_round():
    printed = microbench.measure(benchmark, "addresses")
    benchmark.add(LOOKED_UP, 1000 / benchmark.values["million addresses looked up, of a million per second"][-1])
    benchmark.add(BYTES, float(re.search(rf"^{BYTES} +([\d.]+)$", printed, re.M)[1]))
benchmark.finish([
    (LOOKED_UP, benchmark.median(LOOKED_UP), 100, True),
    (BYTES, benchmark.median(BYTES), 32, True),
    ("bytes allocated for all of them", max(benchmark.values["bytes allocated"]), 0, True),
])
