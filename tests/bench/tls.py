"""TLS at the ECM beside HAProxy that terminates it: memory of idle clients, handshakes, messages of busy clients, and a
stream of one client. ejabberd, which the clients reach directly, shakes hands and holds idle clients, too."""

import contextlib
import json
import subprocess
import sys
import tempfile

from certificates import ECDSA, KEYS, RSA, certificate, of_ecm, of_haproxy
from ejabberd import Ejabberd
from harness import BENCH, CLIENTS, ECHO, PEER, Benchmark, ecm, haproxy, hub, time, wait_until
from load import TLS, connections, cpu, echo_server, run, tls, watch

FEW = 500
MANY = 18_000
MANY_WITH_SERVER_CONNECTIONS = 5_000
TALKING = 1_000
RATE = 3_000
SECONDS = 4
WARMUP = 0.5
STREAM = 1 << 30
QUICK_STREAM = 64 << 20


def edge(name, *more):
    return ecm(*of_ecm(name), *more)


def peer(name):
    return haproxy(bind=PEER + of_haproxy(name))


def memory(process, to, descriptors_each, options, talk):
    """Of clients that have been answered, if they are to talk: the ECM has no eye on these any more. The first ones say so much that rings and
    buffers, which are the same for any number of clients, have been touched."""
    many = MANY if descriptors_each == 1 else MANY_WITH_SERVER_CONNECTIONS
    with connections(to, FEW, say=16_384 if talk else 0, tls=options):
        few = settled(process, FEW * descriptors_each)
        with connections(to, many - FEW, say=200 if talk else 0, tls=options):
            return (settled(process, many * descriptors_each) - few) / (many - FEW)


def settled(process, descriptors):
    wait_until(lambda: process.descriptors() >= descriptors, f"{descriptors} descriptors are open")
    time.sleep(7)  # until the ECM has given back what the handshakes needed, every five seconds, and forgotten by when clients had to log in
    return process.own_memory()


def handshakes(process, to, resume):
    """Two programs shake hands as fast as they can. Returns how many a second there were, and seconds of processor time for each."""
    before = process.cpu()
    command = [sys.executable, str(BENCH / "tls_clients.py"), "--to", to, "--seconds", str(SECONDS), *(["--resume"] if resume else [])]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    counts = [json.loads(each.communicate(timeout=60)[0]) for each in running]
    count = sum(each["handshakes"] for each in counts)
    if resume and sum(each["resumed"] for each in counts) < count - 2:
        sys.exit("sessions were not resumed")
    return count / SECONDS, (process.cpu() - before) / count


def messages(edge_name, chain_name, edge_process, server, to, rate):
    """Processor time for each message: at the edge, where TLS ends, and with the server that answers behind it."""
    processes = [edge_process, server]
    figures = run("echo", "--to", to, "--connections", TALKING, "--seconds", SECONDS, "--warmup", WARMUP, *TLS,
                  *(["--rate", rate] if rate else []), *watch(processes))
    how = f"at {rate} messages/s" if rate else "flat out"
    benchmark.add(f"{edge_name}: µs per message, {how}", cpu(figures, [edge_process]) / figures["messages"] * 1e6)
    benchmark.add(f"{chain_name}: µs per message, {how}", cpu(figures, processes) / figures["messages"] * 1e6)
    if not rate:
        benchmark.add(f"{edge_name}: messages/s, {how}", figures["messages_per_second"])


def stream(who, way, certificate, to, *options):
    """One client sends as much as it can to a server that reads, through one process, which is started when that server listens."""
    size = QUICK_STREAM if benchmark.options.quick else STREAM
    command = [sys.executable, str(BENCH / "tls_stream.py"), "--server", ECHO, "--bytes", str(size), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ends:
        try:
            ends.stdout.readline()
            with way(certificate) as process:
                before = process.cpu()
                seconds = json.loads(ends.communicate(to, timeout=300)[0])["seconds"]
                benchmark.add(f"{who}: MB/s of one client", size / seconds / 1e6)
                benchmark.add(f"{who}: MB of one client per second of processor time", size / (process.cpu() - before) / 1e6)
        finally:
            ends.kill()


@contextlib.contextmanager
def through_ecm(name):
    with hub("echo:"), edge(name, "--Ecm:Limits:LoginTimeout", "5s") as ours:
        yield ours, CLIENTS


@contextlib.contextmanager
def through_haproxy(name):
    with echo_server(), peer(name) as theirs:
        yield theirs, PEER


@contextlib.contextmanager
def into_ejabberd(_):
    """Its certificate, ECDSA P-256, is one that ejabberd.sh makes. Clients that do not log in may stay."""
    with Ejabberd("negotiation_timeout: 1 hour", EJABBERD_MODULES="none", EJABBERD_TLS="1") as server:
        server.wait_until_idle()
        yield server, server.tls


def shake(who, way, kind, resume=False):
    def step(certificates):
        what = f"{'resumed' if resume else 'full'} handshake, {kind}"
        with way(certificates[kind]) as (process, to):
            rate, seconds = handshakes(process, to, resume)
        benchmark.add(f"{who}: {what}, µs", seconds * 1e6)
        benchmark.add(f"{who}: {what}, per second", rate)
    return step


def hold(figure, way, descriptors_each, version="1.3", cipher=None, talk=True):
    def step(certificates):
        with way(certificates[ECDSA]) as (process, to):
            benchmark.add(figure, memory(process, to, descriptors_each, tls(version, cipher), talk))
    return step


def talk_through_ecm(rate):
    def step(certificates):
        with hub("echo:") as far, edge(certificates[ECDSA]) as ours:
            messages("ECM", "ECM and hub with echo", ours, far, CLIENTS, rate)
    return step


def talk_through_haproxy(rate):
    def step(certificates):
        with echo_server() as server, peer(certificates[ECDSA]) as theirs:
            messages("HAProxy", "HAProxy and echo server", theirs, server, PEER, rate)
    return step


def stream_through_ecm(certificates):
    """The server is at the other end of the link, so that the ECM is one hop, as HAProxy is."""
    def way(certificate):
        return edge(certificate, "--Ecm:Link:To", ECHO, "--Ecm:Link:Control", "false")
    stream("ECM", way, certificates[ECDSA], CLIENTS, "--link")


def stream_through_haproxy(certificates):
    stream("HAProxy", peer, certificates[ECDSA], PEER)


steps = [
    shake("ECM", through_ecm, ECDSA),
    shake("HAProxy", through_haproxy, ECDSA),
    shake("ejabberd", into_ejabberd, ECDSA),
    shake("ECM", through_ecm, ECDSA, resume=True),
    shake("HAProxy", through_haproxy, ECDSA, resume=True),
    shake("ECM", through_ecm, RSA),
    shake("HAProxy", through_haproxy, RSA),
    hold("ECM: bytes per idle client", through_ecm, 1),
    hold("ECM: bytes per idle client, TLS 1.2", through_ecm, 1, "1.2"),
    hold("ECM: bytes per idle client, AES-256", through_ecm, 1, cipher="aes256"),
    hold("ECM: bytes per idle client, TLS 1.2, AES-256", through_ecm, 1, "1.2", "aes256"),
    hold("HAProxy: bytes per idle client, server connection included", through_haproxy, 2),
    hold("ejabberd: bytes per idle client", into_ejabberd, 1, talk=False),
    talk_through_ecm(0),
    talk_through_haproxy(0),
    talk_through_ecm(RATE),
    talk_through_haproxy(RATE),
    stream_through_ecm,
    stream_through_haproxy,
]
benchmark = Benchmark("tls", __doc__, rounds=3)
with tempfile.TemporaryDirectory() as folder:
    made = {kind: certificate(folder, kind) for kind in KEYS}
    for number in benchmark.each_round():
        for step in steps if number % 2 else reversed(steps):
            step(made)


def ratio(what):
    return benchmark.median(f"HAProxy: {what}, µs") / benchmark.median(f"ECM: {what}, µs")


def busy(ours, theirs, how):
    return benchmark.median(f"{ours}: µs per message, {how}") / benchmark.median(f"{theirs}: µs per message, {how}")


def streamed(way, what):
    return benchmark.median(f"{way}: {what}") / benchmark.median(f"HAProxy: {what}")


benchmark.finish([
    ("bytes per idle client with TLS 1.3", benchmark.median("ECM: bytes per idle client"), 256, True),
    ("the same with TLS 1.2", benchmark.median("ECM: bytes per idle client, TLS 1.2"), 256, True),
    ("bytes per idle client with TLS 1.3 and AES-256", benchmark.median("ECM: bytes per idle client, AES-256"), 288, True),
    ("the same with TLS 1.2", benchmark.median("ECM: bytes per idle client, TLS 1.2, AES-256"), 288, True),
    ("full handshakes for the processor time, HAProxy's = 1 (ECDSA)", ratio("full handshake, ECDSA P-256"), 0.95, False),
    ("the same with RSA", ratio("full handshake, RSA-2048"), 0.95, False),
    ("resumed ones", ratio("resumed handshake, ECDSA P-256"), 1.1, False),
    ("processor time per message of busy clients, HAProxy's = 1", busy("ECM", "HAProxy", "flat out"), 0.5, True),
    (f"the same at only {RATE:,} messages/s", busy("ECM", "HAProxy", f"at {RATE} messages/s"), 1, True),
    ("the same with what answers behind each, flat out", busy("ECM and hub with echo", "HAProxy and echo server", "flat out"), 0.5, True),
    (f"and at {RATE:,} messages/s", busy("ECM and hub with echo", "HAProxy and echo server", f"at {RATE} messages/s"), 1, True),
    ("bytes per second of one client that sends 1 GB, HAProxy's = 1", streamed("ECM", "MB/s of one client"), 0.9, False),
    ("the same per second of processor time", streamed("ECM", "MB of one client per second of processor time"), 0.9, False),
])
