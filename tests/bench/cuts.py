"""What a network costs that loses everything for a while, and tells nobody: the time from when it carries again until the first byte
comes back to a client through ECM, link and hub, and whether anybody's session has ended."""

import contextlib
import selectors
import socket
import threading

import load
from far import THERE, Far
from harness import CLIENTS, Benchmark, ecm, re, time, urllib, wait_until

CLIENT_COUNTS = 1_000, 15_000
AWAY = 1, 3, 10, 20, 60  # seconds


class Probe(threading.Thread):
    """A client that sends a byte each ten milliseconds, and notes when any comes back."""

    def __init__(self, address):
        super().__init__(daemon=True)
        host, port = address.split(":")
        self.connection = socket.create_connection((host, int(port)))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard = 0.0
        self.sent = self.received = 0
        self.ends = False

    def run(self):
        with selectors.DefaultSelector() as waits:
            waits.register(self.connection, selectors.EVENT_READ)
            due = time.monotonic()
            while not (self.ends and self.received == self.sent):
                if waits.select(max(0, min(due - time.monotonic(), 0.01))):
                    count = len(self.connection.recv(1 << 16))
                    if count == 0:
                        return
                    self.received += count
                    self.heard = time.monotonic()
                if not self.ends and time.monotonic() >= due:
                    self.connection.send(b"x")
                    self.sent += 1
                    due += 0.01

    def missing(self):
        """How many bytes have not come back, after a while. Nothing more is sent."""
        self.ends = True
        self.join(30)
        return self.sent - self.received


def metric(edge, name):
    with urllib.request.urlopen(f"http://{edge.admin}/metrics", timeout=10) as answer:
        return sum(int(value) for value in re.findall(rf"^{name}\S* (\d+)$", answer.read().decode(), re.M))


def cut(clients):
    with contextlib.ExitStack() as running:
        far = running.enter_context(Far())
        running.enter_context(far.child("--Hub:Listen", f"{THERE}:6280", "--Hub:Backend", "echo:", "--Hub:AllowOpenListener", "true",
                                        "--Admin", "false", "--Logging:LogLevel:Default", "Warning"))
        edge = running.enter_context(ecm("--Ecm:Link:To", f"{THERE}:6280"))
        running.enter_context(load.connections(CLIENTS, clients, say=1))
        probe = Probe(CLIENTS)
        probe.start()
        for seconds in AWAY:
            time.sleep(3)
            far.lose()
            time.sleep(seconds)
            far.carry()
            back = time.monotonic()
            wait_until(lambda: probe.heard > back, f"the first byte after {seconds} s", 60)
            benchmark.add(f"{clients:,} clients, away for {seconds} s: seconds until the first byte", probe.heard - back)
        benchmark.add(f"{clients:,} clients: bytes lost", probe.missing())
        benchmark.add(f"{clients:,} clients: sessions ended", metric(edge, "megaphone_sessions_closed_total"))


benchmark = Benchmark("cuts", __doc__, rounds=1)
for _ in benchmark.each_round():
    for count in CLIENT_COUNTS:
        cut(count)

longest = max(value for figure, values in benchmark.values.items() if "first byte" in figure for value in values)
lost = sum(sum(values) for figure, values in benchmark.values.items() if "lost" in figure or "ended" in figure)
benchmark.finish([
    ("longest time until the first byte, seconds", longest, 1, True),
    ("bytes lost, and sessions ended", lost, 0, True),
])
