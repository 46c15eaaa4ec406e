"""Headers parsed and written per second on one core, and packets found in a stream; in process, beside the plain scanner."""

import microbench
from harness import Benchmark

benchmark = Benchmark("headers", __doc__)
for _ in benchmark.each_round():
    microbench.measure(benchmark, "headers")
benchmark.finish([
    ("million headers parsed per second", benchmark.median("million headers parsed per second"), 60, False),
    ("million headers written per second", benchmark.median("million headers written per second"), 25, False),
    ("bytes allocated for all of them", max(benchmark.values["bytes allocated"]), 0, True),
])
