"""The load generator, `megaphone bench`, as the benchmarks use it."""

import json
import signal
import subprocess
import sys
import tempfile
import threading

from harness import ECHO, MEGAPHONE, ROOT, Child, start


def echo_server(address=ECHO, *more):
    return Child(MEGAPHONE, "bench", "echo-server", "--listen", address, *more, ready="megaphone bench echo-server ready")


def run(mode, *options, patience=300):
    """Runs it to the end; returns its figures."""
    command = [MEGAPHONE, "bench", mode, *map(str, options), "--json", "-"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=patience)
    except subprocess.TimeoutExpired as late:
        sys.exit(f"{' '.join(command)}\ntook too long: {late.stderr}")
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return read(done.stdout)


class Crowd:
    """Clients that are all there before the block begins, and stay until it ends; `figures` are known then. `awaited` is the phase
    whose progress tells that they are there, `clients` how many it counts."""

    def __init__(self, mode, *options, awaited, clients):
        self.command = [MEGAPHONE, "bench", mode, *map(str, options), "--hold", "36000", "--json", "-"]
        self.there = f"{awaited}: {clients:,} of"
        self.patience = 300 + clients / 50
        self.progress = []

    def __enter__(self):
        self.output = tempfile.TemporaryFile("w+")
        self.bench = start(self.command, stdout=self.output, stderr=subprocess.PIPE)
        timer = threading.Timer(self.patience, self.bench.kill)
        timer.start()
        try:
            for line in self.bench.stderr:
                self.progress.append(line)
                # There is a line every few seconds, and one more when all are there.
                if line.startswith(self.there):
                    return self
            self.went_wrong()
        except BaseException:
            # The block is never entered, and so never left; a timer that still ran would keep this process for minutes.
            self.abandon()
            raise
        finally:
            timer.cancel()

    def __exit__(self, error, *_):
        if error is not None:
            # What has ended the block is what counts, not what became of the clients.
            self.abandon()
            return
        self.bench.send_signal(signal.SIGINT)
        self.progress += self.bench.communicate(timeout=120)[1].splitlines(keepends=True)
        self.output.seek(0)
        self.figures = read(self.output.read())
        if self.figures is None or self.figures["problems"]:
            self.went_wrong(self.figures and self.figures["problems"])

    def abandon(self):
        self.bench.kill()
        self.bench.wait()

    def went_wrong(self, problems=None):
        sys.exit(f"{' '.join(self.command)}\nwent wrong: {problems or ''}\n{''.join(self.progress[-10:])}")


# The certificates of benchmarks are nobody's.
def tls(version, cipher=None):
    """Options of clients that speak TLS at once, and do not check the certificate. `cipher`: the only one; else the server chooses."""
    return "--tls", "direct", "--ca", "none", "--tls-version", version, *(["--tls-cipher", cipher] if cipher else [])


TLS = tls("1.3")


def connections(to, count, say=0, tls=()):
    """Connections that stay. What each says first, in bytes, has come back before the block begins."""
    options = ["--say", say, "--hear", say] if say else []
    return Crowd("connect", "--to", to, "--connections", count, *options, *tls, awaited="hearing" if say else "connecting", clients=count)


def grown(figures, process, what, until, since="before"):
    """By how much a process that was watched has grown from one phase to another: "memory_bytes", or "cpu_seconds"."""
    return sum(figures["phases"][until][str(pid)][what] - figures["phases"][since][str(pid)][what] for pid in process.pids())


def cpu(figures, processes):
    """Seconds of processor time of processes that were watched, together, in the time that was counted."""
    return sum(grown(figures, process, "cpu_seconds", "played", since="warmed up") for process in processes)


def watch(processes):
    """Options that have processes watched."""
    return ["--watch", ",".join(str(pid) for process in processes for pid in process.pids())]


def read(output):
    """The figures of a run, its phases by name; None when it has written none."""
    figures = json.loads(output or "null")
    if figures:
        figures["phases"] = {phase.pop("phase"): phase for phase in figures["phases"]}
    return figures
