"""One link full of packets through the hub's echo, beside an echo that only receives and sends. Sizes are those of whole
packets, header included."""

from harness import LINK, RAW, Benchmark, hub
from load import cpu, echo_server, run, watch

SIZES = (64, 256, 1024, 4096, 16384)
SESSIONS = 1_000
SECONDS = 3


def flood(name, address, process, size):
    figures = run("flood", "--to", address, "--sessions", SESSIONS, "--bytes", size, "--seconds", SECONDS, "--warmup", 0.5, *watch([process]))
    benchmark.add(f"{name}, {size} bytes: million packets/s", figures["packets_per_second"] / 1e6)
    benchmark.add(f"{name}, {size} bytes: CPU ns/packet", cpu(figures, [process]) / figures["packets"] * 1e9)


def ours(size):
    with hub("echo:") as far:
        flood("hub", LINK, far, size)


def peer(size):
    with echo_server(RAW) as echo:
        flood("raw echo", RAW, echo, size)


def unpaced_peer(size):
    with echo_server(RAW, "--congestion", "reno") as echo:
        flood("raw echo with reno", RAW, echo, size)


benchmark = Benchmark("link", __doc__)
for number in benchmark.each_round():
    for size in SIZES:
        steps = (ours, peer, unpaced_peer)
        for step in steps if number % 2 else reversed(steps):
            step(size)
        what = f"{size} bytes: million packets/s"
        for other in ("raw echo", "raw echo with reno"):
            benchmark.add(f"{size} bytes: packets/s, hub : {other}",
                          benchmark.values[f"hub, {what}"][-1] / benchmark.values[f"{other}, {what}"][-1])
benchmark.finish([
    ("million packets/s of 64 bytes", benchmark.median("hub, 64 bytes: million packets/s"), 8, False),
    ("packets/s of 1024 bytes, hub : raw echo", benchmark.median("1024 bytes: packets/s, hub : raw echo"), 0.75, False),
])
