"""CLIENTS × 200-byte ping-pong through ECM and hub to an echo server, beside one hop of HAProxy, and of nginx, to the same
server: as fast as answers come, and at a fixed rate, there also with all cores left to the system, and the others on one. A
bare relay (bare_relay.c) tells how little two processes can take for it."""

import os

from harness import CLIENTS, ECHO, LINK, NGINX_PEER, PEER, Benchmark, Child, Nginx, echo_server, ecm, haproxy, hub, load

CONNECTIONS = 1_000
BYTES = 200
RATE = 4_000
SECONDS = 2
WARMUP = 0.5
OURS = ("ECM and hub", "ECM and hub with echo")
PEERS = ("HAProxy", "nginx")
BARE = "bare relay", "bare relay with echo"
ONE_CORE = " on one core"
ALL_CORES = " on all cores"
BARE_RELAY = os.environ["BARE_RELAY"]


def play(name, address, processes, rate):
    switches_before = [process.switches() for process in processes]
    calls_before = calls_to_cores() if benchmark.options.quick else 0
    figures = load("pingpong", to=address, connections=CONNECTIONS, bytes=BYTES, seconds=SECONDS, warmup=WARMUP, rate=rate,
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
        called = calls_to_cores() - calls_before
        all_messages = messages * (SECONDS + WARMUP) / SECONDS
        benchmark.add(f"{how}, {name}: waits/message", waited / all_messages)
        benchmark.add(f"{how}, {name}: cores called/message (whole machine)", called / all_messages)


def calls_to_cores():
    """Interrupts with which a core has called another so far, of the whole machine: those that wake it are nearly all of them."""
    line = next(line for line in open("/proc/interrupts") if line.lstrip().startswith("CAL:"))
    return sum(int(word) for word in line.split()[1:] if word.isdigit())


def ours(rate, where="", cores="few"):
    with echo_server(), hub(f"tcp://{ECHO}", "--Service:Cores", cores) as far, ecm("--Service:Cores", cores) as edge:
        play("ECM and hub" + where, CLIENTS, [edge, far], rate)


def ours_echo(rate, where="", cores="few"):
    with hub("echo:", "--Service:Cores", cores) as far, ecm("--Service:Cores", cores) as edge:
        play("ECM and hub with echo" + where, CLIENTS, [edge, far], rate)


def on_all_cores(step):
    return lambda rate: step(rate, ALL_CORES, "all")


def peer(rate, where="", before=()):
    with echo_server(), haproxy(before=before) as hop:
        play("HAProxy" + where, PEER, [hop], rate)


def on_one_core(step):
    return lambda rate: step(rate, ONE_CORE, ["taskset", "-c", str(os.cpu_count() - 1)])


def other_peer(rate):
    with echo_server(), Nginx() as hop:
        play("nginx", NGINX_PEER, [hop], rate)


def bare(rate, where="", before=()):
    with echo_server(), bare_far(before, ECHO) as far, bare_edge(before) as edge:
        play(BARE[0] + where, CLIENTS, [edge, far], rate)


def bare_echo(rate, where="", before=()):
    with bare_far(before) as far, bare_edge(before) as edge:
        play(BARE[1] + where, CLIENTS, [edge, far], rate)


def bare_far(before, *backend):
    return Child(*before, BARE_RELAY, "far", LINK, *backend, ready="ready")


def bare_edge(before):
    return Child(*before, BARE_RELAY, "edge", CLIENTS, LINK, ready="ready")


def ratios(how):
    for figure in ("CPU µs/message", "p99 µs"):
        for name, floor in zip(OURS, BARE):
            for beside in PEERS:
                ratio(how, figure, name, beside)
            ratio(how, figure, name, floor)
            ratio(how, figure, floor, "HAProxy")
            if f"{how}, {name}{ALL_CORES}: {figure}" in benchmark.values:
                ratio(how, figure, name + ALL_CORES, "HAProxy")
                ratio(how, figure, name, "HAProxy" + ONE_CORE)
                ratio(how, figure, name, floor + ONE_CORE)


def ratio(how, figure, name, beside):
    benchmark.add(f"{how}: {figure}, {name} : {beside}",
                  benchmark.values[f"{how}, {name}: {figure}"][-1] / benchmark.values[f"{how}, {beside}: {figure}"][-1])


def budgets(name):
    return [
        (f"CPU per message, flat out, {name} : HAProxy",
         benchmark.median(f"flat out: CPU µs/message, {name} : HAProxy"), 0.85, True),
        (f"CPU per message at {RATE}/s, {name} : HAProxy",
         benchmark.median(f"at {RATE} messages/s: CPU µs/message, {name} : HAProxy"), 1.6, True),
        (f"p99 latency at {RATE}/s, {name} : HAProxy",
         benchmark.median(f"at {RATE} messages/s: p99 µs, {name} : HAProxy"), 2, True),
    ]


benchmark = Benchmark("pingpong", __doc__.replace("CLIENTS", str(CONNECTIONS)), rounds=9)
for number in benchmark.each_round():
    steps = [ours, bare, peer, ours_echo, bare_echo, other_peer]
    for rate, more in (0, []), (RATE, [on_all_cores(ours), on_all_cores(ours_echo), *map(on_one_core, (peer, bare, bare_echo))]):
        for step in steps + more if number % 2 else reversed(steps + more):
            step(rate)
    ratios("flat out")
    ratios(f"at {RATE} messages/s")
benchmark.finish([budget for name in OURS for budget in budgets(name)])
