"""TLS at the ECM beside HAProxy that terminates it: memory of idle clients, handshakes, and messages of busy clients."""

import json
import subprocess
import sys
import tempfile

from harness import (BENCH, CLIENTS, ECHO, HAPROXY, HAPROXY_CONFIG, PEER, Benchmark, Child, echo_server, ecm, hub, pathlib,
                     takes_connections, time, wait_until)

FEW = 500
MANY = 5_000
TALKING = 1_000
RATE = 3_000
SECONDS = 4
KEYS = {
    "ECDSA P-256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "RSA-2048": ["-newkey", "rsa:2048"],
}


def certificate(folder, kind):
    """A certificate and its key; both in one file, too, as HAProxy wants them."""
    name = folder / kind.replace(" ", "-")
    subprocess.run(
        ["openssl", "req", "-x509", *KEYS[kind], "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-out", f"{name}.crt", "-keyout", f"{name}.key"], check=True, stderr=subprocess.DEVNULL)
    pathlib.Path(f"{name}.pem").write_text(pathlib.Path(f"{name}.crt").read_text() + pathlib.Path(f"{name}.key").read_text())
    return name


def edge(name):
    return ecm("--Ecm:Clients:0:Tls", "direct", "--Ecm:Tls:Certificates:0:Certificate", f"{name}.crt",
               "--Ecm:Tls:Certificates:0:Key", f"{name}.key")


def peer(name):
    config = pathlib.Path(f"{name}.cfg")
    config.write_text(HAPROXY_CONFIG.format(peer=f"{PEER} ssl crt {name}.pem", echo=ECHO, rules=""))
    child = Child(HAPROXY, "-db", "-q", "-f", str(config))
    wait_until(lambda: takes_connections(PEER), "HAProxy listens")
    return child


def clients(what, to, **options):
    words = [word for key, value in options.items() for word in ([f"--{key}"] if value is True else [f"--{key}", str(value)])]
    return [sys.executable, str(BENCH / "tls_clients.py"), what, "--to", to, *words]


def memory(process, to, descriptors_each):
    with Child(*clients("idle", to, connections=FEW), ready="READY"):
        few = settled(process, FEW * descriptors_each)
        with Child(*clients("idle", to, connections=MANY - FEW), ready="READY", patience=120):
            return (settled(process, MANY * descriptors_each) - few) / (MANY - FEW)


def settled(process, descriptors):
    wait_until(lambda: process.descriptors() >= descriptors, f"{descriptors} descriptors are open")
    time.sleep(1)
    return process.own_memory()


def handshakes(process, to, **options):
    """Two programs shake hands as fast as they can. Returns how many a second there were, and seconds of processor time for each."""
    before = process.cpu()
    running = [subprocess.Popen(clients("handshake", to, seconds=SECONDS, **options), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    counts = [json.loads(each.communicate(timeout=60)[0]) for each in running]
    count = sum(each["handshakes"] for each in counts)
    if options.get("resume") and sum(each["resumed"] for each in counts) < count - 2:
        sys.exit("sessions were not resumed")
    return count / SECONDS, (process.cpu() - before) / count


def messages(processes, to):
    """Seconds of processor time for each message, all processes together."""
    with subprocess.Popen(clients("talk", to, connections=TALKING, seconds=SECONDS, rate=RATE),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as talking:
        talking.stdout.readline()
        before = sum(each.cpu() for each in processes)
        told = json.loads(talking.stdout.readline())
        used = sum(each.cpu() for each in processes) - before
        talking.stdin.close()
    return used / told["heard"]


benchmark = Benchmark("tls", __doc__, rounds=3)
with tempfile.TemporaryDirectory() as folder:
    certificates = {kind: certificate(pathlib.Path(folder), kind) for kind in KEYS}
    first = certificates["ECDSA P-256"]
    for number in benchmark.each_round():
        for kind, name in certificates.items():
            for resume in ([False, True] if kind == "ECDSA P-256" else [False]):
                what = f"{'resumed' if resume else 'full'} handshake, {kind}"
                options = {"resume": True} if resume else {}
                with hub("echo:"), edge(name) as ours:
                    rate, cpu = handshakes(ours, CLIENTS, **options)
                    benchmark.add(f"ECM: {what}, µs", cpu * 1e6)
                    benchmark.add(f"ECM: {what}, per second", rate)
                with echo_server(), peer(name) as theirs:
                    rate, cpu = handshakes(theirs, PEER, **options)
                    benchmark.add(f"HAProxy: {what}, µs", cpu * 1e6)
                    benchmark.add(f"HAProxy: {what}, per second", rate)
        with hub("echo:"), edge(first) as ours:
            benchmark.add("ECM: bytes per idle client", memory(ours, CLIENTS, 1))
        with echo_server(), peer(first) as theirs:
            benchmark.add("HAProxy: bytes per idle client, server connection included", memory(theirs, PEER, 2))
        with hub("echo:") as far, edge(first) as ours:
            benchmark.add("ECM and hub with echo: µs per message", messages([ours, far], CLIENTS) * 1e6)
        with echo_server(), peer(first) as theirs:
            benchmark.add("HAProxy: µs per message", messages([theirs], PEER) * 1e6)


def ratio(what):
    return benchmark.median(f"HAProxy: {what}, µs") / benchmark.median(f"ECM: {what}, µs")


benchmark.finish([
    ("bytes per idle client with TLS 1.3", benchmark.median("ECM: bytes per idle client"), 16_000, True),
    ("full handshakes for the processor time, HAProxy's = 1 (ECDSA)", ratio("full handshake, ECDSA P-256"), 0.9, False),
    ("the same with RSA", ratio("full handshake, RSA-2048"), 0.9, False),
    ("resumed ones", ratio("resumed handshake, ECDSA P-256"), 0.9, False),
    ("processor time per message, HAProxy's hop = 1", benchmark.median("ECM and hub with echo: µs per message") / benchmark.median("HAProxy: µs per message"), 1, True),
])
