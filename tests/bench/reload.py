"""What a reload means for those who are connected: how long clients of an ECM wait for an answer that a reload comes between, and what ten
reloads leave behind: processes and their memory, beside HAProxy with the same clients."""

import pathlib
import signal
import socket
import tempfile

import load
from harness import (CLIENTS, ECHO, HAPROXY, HAPROXY_CONFIG, PEER, WAIT_FOR_BYTES, Benchmark, Child, ecm, hub, os, takes_connections, time,
                     wait_until)
from reloading import Talk, reload

CLIENT_COUNTS = 1_000, 18_000
TALKING = 100
RELOADS = 10
PAUSE = 2  # seconds between two reloads: the service has one in a second at most


def connect(address):
    host, port = address.split(":")
    return socket.create_connection((host, int(port)))


class MasterAndWorkers(Child):
    """HAProxy as it is reloaded: a master starts another worker each time, and the last one stays while it has clients."""

    def __init__(self):
        self.config = tempfile.NamedTemporaryFile("w", suffix=".cfg")
        self.config.write(HAPROXY_CONFIG.format(peer=PEER, echo=ECHO, rules=WAIT_FOR_BYTES))
        self.config.flush()
        super().__init__(HAPROXY, "-W", "-db", "-q", "-f", self.config.name)
        wait_until(lambda: takes_connections(PEER), "HAProxy listens")

    def pids(self):
        return [self.pid, *map(int, pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())]


def reload_ecm(clients):
    what = f"{clients:,} clients"
    with hub("echo:"), ecm() as edge, load.connections(CLIENTS, clients, say=1):
        talk = Talk([connect(CLIENTS) for _ in range(TALKING)])
        talk.start()
        time.sleep(PAUSE)
        before, times = edge.own_memory(), []
        for _ in range(RELOADS):
            times.append(reload(edge))
            time.sleep(PAUSE)
        benchmark.add(f"{what}: without an answer", talk.finish())
        waits = talk.waits(times)
        benchmark.add(f"{what}: longest wait over a reload, ms", waits[-1])
        benchmark.add(f"{what}: p99 of the longest waits, ms", waits[len(waits) * 99 // 100])
        benchmark.add(f"{what}: ECM's processes after {RELOADS} reloads", len(edge.pids()))
        benchmark.add(f"{what}: ECM's memory before, MiB", before / 2**20)
        benchmark.add(f"{what}: ECM's memory after {RELOADS} reloads, MiB", edge.own_memory() / 2**20)


def reload_haproxy(clients):
    what = f"{clients:,} clients"
    with load.echo_server(), MasterAndWorkers() as peer, load.connections(PEER, clients):
        talk = Talk([connect(PEER) for _ in range(TALKING)])
        talk.start()
        time.sleep(PAUSE)
        before, times, stays = peer.own_memory(), [], []
        for number in range(1, RELOADS + 1):
            began = time.monotonic()
            os.kill(peer.pid, signal.SIGUSR2)
            wait_until(lambda: len(peer.pids()) == number + 2, f"worker {number + 1}", 60)
            time.sleep(PAUSE)
            times.append((began, time.monotonic()))

            # Somebody is connected to each worker, as people come at all times.
            stays.append(connect(PEER))
        benchmark.add(f"{what}: HAProxy, without an answer", talk.finish())
        benchmark.add(f"{what}: HAProxy, longest wait over a reload, ms", talk.waits(times)[-1])
        benchmark.add(f"{what}: HAProxy's processes after {RELOADS} reloads", len(peer.pids()))
        benchmark.add(f"{what}: HAProxy's memory before, MiB", before / 2**20)
        benchmark.add(f"{what}: HAProxy's memory after {RELOADS} reloads, MiB", peer.own_memory() / 2**20)


benchmark = Benchmark("reload", __doc__, rounds=1)
for _ in benchmark.each_round():
    for count in CLIENT_COUNTS:
        reload_ecm(count)
        reload_haproxy(count)

longest = [(f"{count:,} clients: longest wait over a reload, ms", f"{count:,} clients: without an answer") for count in CLIENT_COUNTS]
benchmark.finish([
    *((wait, benchmark.median(wait), 100, True) for wait, _ in longest),
    ("clients that got no answer", sum(benchmark.median(lost) for _, lost in longest), 0, True),
])
