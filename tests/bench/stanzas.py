"""Bytes of stanzas cut out of clients' streams per second on one core; in process."""

import microbench
from harness import Benchmark

FIGURE = "million bytes of stanzas split, 16 KiB at a time per second"

benchmark = Benchmark("stanzas", __doc__)
for _ in benchmark.each_round():
    microbench.measure(benchmark, "stanzas")
benchmark.finish([
    ("million bytes of 1 KiB stanzas split per second", benchmark.median(FIGURE), 1000, False),
    ("bytes allocated for splitting stanzas", max(benchmark.values["bytes allocated"]), 0, True),
])
