"""What a reload means for those who are connected: how long clients of an ECM wait for an answer that a reload comes between, and what ten
reloads leave behind: processes and their memory, beside HAProxy with the same clients."""

import contextlib
import pathlib
import re
import selectors
import signal
import socket
import tempfile
import threading
import urllib.request

import load
from harness import (CLIENTS, ECHO, HAPROXY, HAPROXY_CONFIG, PEER, WAIT_FOR_BYTES, Benchmark, Child, ecm, hub, os, takes_connections, time,
                     wait_until)

CLIENT_COUNTS = 1_000, 18_000
TALKING = 100
RELOADS = 10
PAUSE = 2  # seconds between two reloads: the service has one in a second at most
EVERY = 0.01  # seconds between an answer and the next question


def connect(address):
    host, port = address.split(":")
    return socket.create_connection((host, int(port)))


class Talk(threading.Thread):
    """Clients each of which asks again when it has been answered, and notes how long that took."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.connections = [connect(address) for _ in range(TALKING)]
        self.answers = {connection: [] for connection in self.connections}  # when it was asked, and when answered
        self.asked = {}
        self.ends = False

    def run(self):
        with selectors.DefaultSelector() as waits:
            due = dict.fromkeys(self.connections, time.monotonic())
            for connection in self.connections:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                waits.register(connection, selectors.EVENT_READ)
            while self.asked or not self.ends:
                for key, _ in waits.select(EVERY / 5):
                    if not key.fileobj.recv(64):
                        return
                    now = time.monotonic()
                    self.answers[key.fileobj].append((self.asked.pop(key.fileobj), now))
                    due[key.fileobj] = now + EVERY
                now = time.monotonic()
                for connection in [] if self.ends else self.connections:
                    if connection not in self.asked and due[connection] <= now:
                        self.asked[connection] = now
                        connection.send(b"?")

    def finish(self):
        """How many clients have got no answer."""
        self.ends = True
        self.join(10)
        return len(self.asked) if not self.is_alive() else TALKING

    def waits(self, times):
        """For each client and each of these times, from one to the other, the longest that it has waited for an answer, in ms, in order."""
        return sorted(1000 * max((answered - asked for asked, answered in answers if answered > began and asked < ended), default=float("inf"))
                      for answers in self.answers.values() for began, ended in times)


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


def reloads(edge):
    """How many reloads have succeeded; one that is under way answers nobody."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{edge.admin}/metrics", timeout=10) as answer:
        return int(re.search(r'^megaphone_reloads_total\{result="done"\} (\d+)', answer.read().decode(), re.M)[1])
    return -1


def reload_ecm(clients):
    what = f"{clients:,} clients"
    with hub("echo:"), ecm() as edge, load.connections(CLIENTS, clients, say=1):
        talk = Talk(CLIENTS)
        talk.start()
        time.sleep(PAUSE)
        before, times = edge.own_memory(), []
        for number in range(1, RELOADS + 1):
            began = time.monotonic()
            os.kill(edge.pid, signal.SIGHUP)
            time.sleep(0.5)
            wait_until(lambda: reloads(edge) == number, f"reload {number}", 60)
            times.append((began, time.monotonic()))
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
        talk = Talk(PEER)
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
