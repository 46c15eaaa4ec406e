"""CLIENTS × 200-byte ping-pong through ECM and hub to an echo server, beside one hop of HAProxy, and of nginx, to the same
server: as fast as answers come, and at a fixed rate. A bare relay (bare_relay.c) tells how little two processes can take for it."""

import os

from harness import CLIENTS, ECHO, LINK, NGINX_PEER, PEER, Benchmark, Child, Nginx, ecm, haproxy, hub
from load import cpu, echo_server, run, watch

CONNECTIONS = 1_000
BYTES = 200
RATE = 4_000
SECONDS = 2
WARMUP = 0.5
OURS = ("ECM and hub", "ECM and hub with echo")
PEERS = ("HAProxy", "nginx")
BARE = "bare relay", "bare relay with echo"
BARE_RELAY = os.environ["BARE_RELAY"]


def play(name, address, processes, rate):
    switches_before = [process.switches() for process in processes]
    calls_before = calls_to_cores() if benchmark.options.quick else 0
    figures = run("echo", "--to", address, "--connections", CONNECTIONS, "--bytes", BYTES, "--seconds", SECONDS, "--warmup", WARMUP,
                  *(["--rate", rate] if rate else []), *watch(processes))
    messages = figures["messages"]
    how = f"at {rate} messages/s" if rate else "flat out"
    benchmark.add(f"{how}, {name}: CPU µs/message", cpu(figures, processes) / messages * 1e6)
    if not rate:
        benchmark.add(f"{how}, {name}: messages/s", figures["messages_per_second"])
    benchmark.add(f"{how}, {name}: p50 µs", figures["message_latency_us"]["p50"])
    benchmark.add(f"{how}, {name}: p99 µs", figures["message_latency_us"]["p99"])
    if benchmark.options.quick:
        waited = sum(process.switches()[0] - before[0] for process, before in zip(processes, switches_before))
        called = calls_to_cores() - calls_before
        all_messages = messages * (SECONDS + WARMUP) / SECONDS
        benchmark.add(f"{how}, {name}: waits/message", waited / all_messages)
        benchmark.add(f"{how}, {name}: cores called/message (whole machine)", called / all_messages)


def calls_to_cores():
    """Interrupts with which a core has called another so far, of the whole machine: those that wake it are nearly all of them."""
    line = next(line for line in open("/proc/interrupts") if line.lstrip().startswith("CAL:"))
    return sum(int(word) for word in line.split()[1:] if word.isdigit())


def ours(rate):
    with echo_server(), hub(f"tcp://{ECHO}") as far, ecm() as edge:
        play("ECM and hub", CLIENTS, [edge, far], rate)


def ours_echo(rate):
    with hub("echo:") as far, ecm() as edge:
        play("ECM and hub with echo", CLIENTS, [edge, far], rate)


def peer(rate):
    with echo_server(), haproxy() as hop:
        play("HAProxy", PEER, [hop], rate)


def other_peer(rate):
    with echo_server(), Nginx() as hop:
        play("nginx", NGINX_PEER, [hop], rate)


def bare(rate):
    with echo_server(), bare_far(ECHO) as far, bare_edge() as edge:
        play(BARE[0], CLIENTS, [edge, far], rate)


def bare_echo(rate):
    with bare_far() as far, bare_edge() as edge:
        play(BARE[1], CLIENTS, [edge, far], rate)


def bare_far(*backend):
    return Child(BARE_RELAY, "far", LINK, *backend, ready="ready")


def bare_edge():
    return Child(BARE_RELAY, "edge", CLIENTS, LINK, ready="ready")


def ratios(how):
    for figure in ("CPU µs/message", "p99 µs"):
        for name, floor in zip(OURS, BARE):
            for beside in PEERS:
                ratio(how, figure, name, beside)
            ratio(how, figure, name, floor)
            ratio(how, figure, floor, "HAProxy")


def ratio(how, figure, name, beside):
    benchmark.add(f"{how}: {figure}, {name} : {beside}",
                  benchmark.values[f"{how}, {name}: {figure}"][-1] / benchmark.values[f"{how}, {beside}: {figure}"][-1])


def budgets(name):
    return [
        (f"CPU per message, flat out, {name} : HAProxy",
         benchmark.median(f"flat out: CPU µs/message, {name} : HAProxy"), 0.85, True),
        (f"CPU per message at {RATE}/s, {name} : HAProxy",
         benchmark.median(f"at {RATE} messages/s: CPU µs/message, {name} : HAProxy"), 2, True),
        (f"p99 latency at {RATE}/s, {name} : HAProxy",
         benchmark.median(f"at {RATE} messages/s: p99 µs, {name} : HAProxy"), 1.5, True),
    ]


benchmark = Benchmark("pingpong", __doc__.replace("CLIENTS", str(CONNECTIONS)), rounds=9)
for number in benchmark.each_round():
    steps = [ours, bare, peer, ours_echo, bare_echo, other_peer]
    for rate in 0, RATE:
        for step in steps if number % 2 else reversed(steps):
            step(rate)
    ratios("flat out")
    ratios(f"at {RATE} messages/s")
benchmark.finish([budget for name in OURS for budget in budgets(name)])
