"""CLIENTS × 200-byte ping-pong through ECM and hub to an echo server, beside one hop of HAProxy, and of nginx, to the same
server: as fast as answers come, and at a fixed rate, where it matters on which cores they run. A bare relay (bare_relay.c) tells
how little two processes can take for it."""

import os

from harness import CLIENTS, ECHO, LINK, NGINX_PEER, ON_ONE_CORE, PEER, Benchmark, Child, Nginx, echo_server, ecm, haproxy, hub, load

CONNECTIONS = 1_000
BYTES = 200
RATE = 4_000
SECONDS = 2
OURS = ("ECM and hub", "ECM and hub with echo")
PEERS = ("HAProxy", "nginx")
BARE = "bare relay", "bare relay with echo"
ONE_CORE = " on one core"
BARE_RELAY = os.environ["BARE_RELAY"]


def play(name, address, processes, rate):
    switches_before = [process.switches() for process in processes]
    figures = load("pingpong", to=address, connections=CONNECTIONS, bytes=BYTES, seconds=SECONDS, warmup=0.5, rate=rate,
                   watch=",".join(str(pid) for process in processes for pid in process.pids()))
    if figures["errors"]:
        raise SystemExit(f"{name}: {figures['errors']} messages or connections were lost")
    messages = figures["messages"]
    how = f"at {rate} messages/s" if rate else "flat out"
    benchmark.add(f"{how}, {name}: CPU µs/message", sum(figures["cpu_seconds"].values()) / messages * 1e6)
    if not rate:
        benchmark.add(f"{how}, {name}: messages/s", figures["messages_per_second"])
    benchmark.add(f"{how}, {name}: p50 µs", figures["p50_us"])
    benchmark.add(f"{how}, {name}: p99 µs", figures["p99_us"])
    if benchmark.options.quick:
        waited = sum(process.switches()[0] - before[0] for process, before in zip(processes, switches_before))
        benchmark.add(f"{how}, {name}: waits/message", waited / messages)


def ours(rate, where="", before=()):
    with echo_server(), hub(f"tcp://{ECHO}", before=before) as far, ecm(before=before) as edge:
        play("ECM and hub" + where, CLIENTS, [edge, far], rate)


def ours_echo(rate, where="", before=()):
    with hub("echo:", before=before) as far, ecm(before=before) as edge:
        play("ECM and hub with echo" + where, CLIENTS, [edge, far], rate)


def peer(rate, where="", before=()):
    with echo_server(), haproxy(before=before) as hop:
        play("HAProxy" + where, PEER, [hop], rate)


def on_one_core(step):
    return lambda rate: step(rate, ONE_CORE, ON_ONE_CORE)


def other_peer(rate):
    with echo_server(), Nginx() as hop:
        play("nginx", NGINX_PEER, [hop], rate)


def bare(rate):
    with echo_server(), bare_far(ECHO) as far, bare_edge() as edge:
        play("bare relay", CLIENTS, [edge, far], rate)


def bare_echo(rate):
    with bare_far() as far, bare_edge() as edge:
        play("bare relay with echo", CLIENTS, [edge, far], rate)


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
            if f"{how}, {name}{ONE_CORE}: {figure}" in benchmark.values:
                ratio(how, figure, name + ONE_CORE, "HAProxy")
                ratio(how, figure, name + ONE_CORE, "HAProxy" + ONE_CORE)


def ratio(how, figure, name, beside):
    benchmark.add(f"{how}: {figure}, {name} : {beside}",
                  benchmark.values[f"{how}, {name}: {figure}"][-1] / benchmark.values[f"{how}, {beside}: {figure}"][-1])


def budgets(name):
    return [
        (f"CPU per message, flat out, {name} : HAProxy",
         benchmark.median(f"flat out: CPU µs/message, {name} : HAProxy"), 0.85, True),
        *budgets_at_rate(name),
        *budgets_at_rate(name + ONE_CORE),
    ]


def budgets_at_rate(name):
    return [
        (f"CPU per message at {RATE}/s, {name} : HAProxy",
         benchmark.median(f"at {RATE} messages/s: CPU µs/message, {name} : HAProxy"), 1.6, True),
        (f"p99 latency at {RATE}/s, {name} : HAProxy",
         benchmark.median(f"at {RATE} messages/s: p99 µs, {name} : HAProxy"), 2, True),
    ]


benchmark = Benchmark("pingpong", __doc__.replace("CLIENTS", str(CONNECTIONS)), rounds=9)
for number in benchmark.each_round():
    steps = [ours, bare, peer, ours_echo, bare_echo, other_peer]
    for rate, more in (0, []), (RATE, [on_one_core(step) for step in (ours, peer, ours_echo)]):
        for step in steps + more if number % 2 else reversed(steps + more):
            step(rate)
    ratios("flat out")
    ratios(f"at {RATE} messages/s")
benchmark.finish([budget for name in OURS for budget in budgets(name)])
