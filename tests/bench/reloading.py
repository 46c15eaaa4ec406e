"""Reloads of an ECM, and clients who notice them."""

import contextlib
import re
import selectors
import signal
import socket
import threading
import urllib.request

from harness import os, time, wait_until


class Talk(threading.Thread):
    """Clients each of which asks again, `every` so many seconds after it has been answered, and notes how long that took."""

    def __init__(self, connections, question=b"?", every=0.01):
        super().__init__(daemon=True)
        self.connections, self.question, self.every = connections, question, every
        self.answers = {connection: [] for connection in self.connections}  # when it was asked, and when answered
        self.asked = {}
        self.ends = False

    def run(self):
        with selectors.DefaultSelector() as waits:
            # One after the other, so that somebody asks at any time.
            step = self.every / len(self.connections)
            due = {connection: time.monotonic() + number * step for number, connection in enumerate(self.connections)}
            for connection in self.connections:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                waits.register(connection, selectors.EVENT_READ)
            while self.asked or not self.ends:
                for key, _ in waits.select(self.every / 5):
                    if not key.fileobj.recv(4096):
                        return
                    # An answer may come in two pieces.
                    if asked := self.asked.pop(key.fileobj, None):
                        now = time.monotonic()
                        self.answers[key.fileobj].append((asked, now))
                        due[key.fileobj] = now + self.every
                now = time.monotonic()
                for connection in [] if self.ends else self.connections:
                    if connection not in self.asked and due[connection] <= now:
                        self.asked[connection] = now
                        connection.send(self.question)

    def finish(self):
        """How many clients have got no answer."""
        self.ends = True
        self.join(10)
        return len(self.asked) if not self.is_alive() else len(self.connections)

    def waits(self, times):
        """For each client and each of these times, from one to the other, the longest that it has waited for an answer, in ms, in order."""
        return sorted(1000 * max((answered - asked for asked, answered in answers if answered > began and asked < ended), default=float("inf"))
                      for answers in self.answers.values() for began, ended in times)


def reloads(edge):
    """How many reloads have succeeded; one that is under way answers nobody."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{edge.admin}/metrics", timeout=10) as answer:
        return int(re.search(r'^megaphone_reloads_total\{result="done"\} (\d+)', answer.read().decode(), re.M)[1])
    return -1


def reload(edge):
    """Has an ECM reload; returns when that began and ended."""
    number, began = reloads(edge) + 1, time.monotonic()
    os.kill(edge.pid, signal.SIGHUP)
    time.sleep(0.5)
    wait_until(lambda: reloads(edge) == number, f"reload {number}", 60)
    return began, time.monotonic()
