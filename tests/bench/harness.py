"""What the benchmarks share: the processes that they start and watch, rounds, tables, and the record of results."""

import argparse
import atexit
import contextlib
import ctypes
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent.parent
RESULTS = BENCH / "results.jsonl"
MEGAPHONE = os.environ.get("MEGAPHONE", "out/megaphone")
HAPROXY = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")

# Every listener has an address of its own, and a port below those that the kernel gives to clients: nothing collides.
CLIENTS = "127.88.0.1:5222"
LINK = "127.88.0.2:6280"
ECHO = "127.88.0.3:7000"
PEER = "127.88.0.4:5222"
RAW = "127.88.0.5:7000"
NGINX_PEER = "127.88.0.7:5222"


# An ejabberd, and what is in temporary folders, ends with this process only if it unwinds.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def start(command, **options):
    """Starts a process that the kernel asks to end when this one ends, however it does. From the main thread: when the thread that
    started it ends counts."""
    parent = os.getpid()

    def tie():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(143)

    return subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, cwd=ROOT, preexec_fn=tie, **options)


class Child:
    """A child process that ends with this one. `ready` is the line that it printed when it was ready."""

    def __init__(self, *command, ready=None, patience=30, env=None):
        self.began = time.monotonic()
        self.errors = tempfile.TemporaryFile("w+")
        self.process = start(command, stdout=subprocess.PIPE, stderr=self.errors, env={**os.environ, **(env or {})})
        # If this process ends before it has entered the child's `with`, the child ends all the same.
        atexit.register(self.stop)
        self.pid = self.process.pid
        self.ready = None
        if ready:
            timer = threading.Timer(patience, self.process.kill)
            timer.start()
            try:
                self.ready = next((line.strip() for line in self.process.stdout if line.startswith(ready)), None)
            finally:
                timer.cancel()
            if self.ready is None:
                self.stop()
                self.errors.seek(0)
                sys.exit(f"{' '.join(command)}\ndid not become ready:\n{self.errors.read()}")
            self.ready_after = time.monotonic() - self.began
            # Whatever it prints later is read, so that it never blocks.
            threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def pids(self):
        """The ids of the processes that are measured as one: this one's."""
        return [self.pid]

    def status(self, *keys):
        """The sum of some lines of /proc/PID/status, in bytes (kB there)."""
        return sum(int(re.search(rf"^{key}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1]) * 1024
                   for pid in self.pids() for key in keys)

    def own_memory(self):
        """Bytes of memory that it has allocated: without the pages of its file."""
        return self.status("RssAnon", "RssShmem")

    def cpu(self):
        """Seconds of processor time used so far: by the clock that Linux has for each process (CPUCLOCK_SCHED of posix-timers.h)."""
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in self.pids())

    def descriptors(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids())

    def switches(self):
        """Context switches so far: voluntary ones, by waiting, and involuntary ones."""
        tasks = [task for pid in self.pids() for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        text = "".join((task / "status").read_text() for task in tasks)
        return tuple(sum(map(int, re.findall(rf"^{kind}_ctxt_switches:\s+(\d+)", text, re.M)))
                     for kind in ("voluntary", "nonvoluntary"))


def ecm(*more):
    """An ECM in a process of its own, whose link, to LINK if nothing else is given, is up."""
    child = Child(MEGAPHONE, "--Ecm:Clients:0:Listen", CLIENTS, "--Ecm:Link:To", LINK, *QUIET, *more, ready="megaphone ready")
    child.admin = re.search(r"admin=(\S+)", child.ready)[1]
    wait_until(lambda: is_ready(child.admin), "the link is up")
    return child


def hub(backend, *more):
    """A hub in a process of its own, on LINK."""
    return Child(MEGAPHONE, "--Hub:Listen", LINK, "--Hub:Backend", backend, *QUIET, *more, ready="megaphone ready")


def is_ready(admin):
    try:
        with urllib.request.urlopen(f"http://{admin}/readyz", timeout=2):
            return True
    except urllib.error.URLError:
        return False


# Nothing but warnings is logged, as HAProxy logs nothing.
QUIET = ["--Admin:Listen", "127.88.0.6:0", "--Logging:LogLevel:Default", "Warning"]

HAPROXY_CONFIG = """
global
  nbthread 2
  no strict-limits
  ulimit-n 20000
  maxconn 19000
defaults
  mode tcp
  option tcp-smart-accept
  no option splice-auto
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen peer
  bind {peer} backlog 4096
{rules}  server echo {echo}
"""

# Holds a client without a connection to the server until it sends something, as the ECM does.
WAIT_FOR_BYTES = """  tcp-request inspect-delay 1h
  tcp-request content accept if { req.len gt 0 }
"""


def haproxy(rules="", bind=PEER, to=ECHO):
    """HAProxy, one hop from PEER to a server, in the foreground; does not log. `bind` and `to`: PEER and the server, with what HAProxy
    needs to know of them."""
    config = tempfile.NamedTemporaryFile("w", suffix=".cfg")
    config.write(HAPROXY_CONFIG.format(peer=bind, echo=to, rules=rules))
    config.flush()
    child = Child(HAPROXY, "-db", "-q", "-f", config.name)
    child.config = config
    wait_until(lambda: takes_connections(PEER), "HAProxy listens")
    child.ready_after = time.monotonic() - child.began
    return child


NGINX_PROCESSES = """
daemon off;
worker_processes 2;
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{
  worker_connections 19000;
}}
"""

NGINX_CONFIG = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;""" + NGINX_PROCESSES + """stream {{
  server {{
    listen {peer} backlog=4096;
    proxy_pass {echo};
    proxy_connect_timeout 5s;
    proxy_timeout 1h;
{rules}  }}
}}
"""

# To see whether a client begins TLS, nginx waits for its first bytes; so it has no connection to the server before.
NGINX_WAIT_FOR_BYTES = """    ssl_preread on;
    preread_timeout 1h;
"""


class Nginx(Child):
    """nginx, one hop from NGINX_PEER to a server, in the foreground, in a folder of its own; does not log. The workers' use counts,
    the master only waits."""

    def __init__(self, rules="", template=NGINX_CONFIG, to=ECHO):
        self.folder = tempfile.TemporaryDirectory(prefix="megaphone-nginx-", ignore_cleanup_errors=True)
        folder = pathlib.Path(self.folder.name)
        config = folder / "nginx.conf"
        config.write_text(template.format(folder=folder, peer=NGINX_PEER, echo=to, rules=rules))
        super().__init__(NGINX, "-p", str(folder), "-c", str(config), "-e", "stderr")
        wait_until(lambda: takes_connections(NGINX_PEER), "nginx listens")
        wait_until(lambda: len(self.pids()) == 2, "nginx has its workers")

    def pids(self):
        return [int(pid) for pid in pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def stop(self):
        super().stop()
        with contextlib.suppress(FileNotFoundError):
            self.folder.cleanup()


def takes_connections(address):
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def wait_until(condition, what, patience=10):
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"waited {patience} s in vain for: {what}")
        time.sleep(0.005)


def kernel(drops_caches=True):
    """Bytes of the kernel's own objects, and the number of TCP sockets. Caches are dropped first, if this process may do that: they
    have an entry for each descriptor that was ever looked up in /proc."""
    with contextlib.suppress(PermissionError):
        if drops_caches:
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("2")
    slab = int(re.search(r"^Slab:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)[1]) * 1024
    sockets = int(re.search(r"^TCP:.* alloc (\d+)", pathlib.Path("/proc/net/sockstat").read_text(), re.M)[1])
    return slab, sockets


def forget_earlier_connections():
    """Waits until the kernel has dropped connections that ended up to a minute ago: it would be missing from what the kernel grows by."""
    for _ in range(65):
        if int(re.search(r"^TCP:.* tw (\d+)", pathlib.Path("/proc/net/sockstat").read_text(), re.M)[1]) < 1_000:
            break
        time.sleep(1)


def busy(seconds):
    """The fraction of this machine's processor time that is used, all cores together."""
    def read():
        fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]
    total, idle_time = read()
    time.sleep(seconds)
    total_after, idle_after = read()
    return 1 - (idle_after - idle_time) / max(1, total_after - total)


class Benchmark:
    """One benchmark: its options, its rounds, its figures, and their record."""

    def __init__(self, name, description, rounds=5, options=None):
        """`options`: more options, from names to the arguments of argparse's add_argument."""
        parser = argparse.ArgumentParser(prog=f"tests/bench/{name}.sh", description=description)
        parser.add_argument("--rounds", type=int, default=rounds, help=f"default {rounds}")
        parser.add_argument("--quick", action="store_true", help="two rounds at most; nothing is recorded")
        parser.add_argument("--no-wait", action="store_true", help="measure even while the machine is busy with other things")
        parser.add_argument("--note", help="a remark for readers, kept with the figures")
        named = [parser.add_argument(option, **wanted) for option, wanted in (options or {}).items()]
        self.options = parser.parse_args()
        self.name = name
        self.rounds = min(2, rounds) if self.options.quick else self.options.rounds
        self.command = f"tests/bench/{name}.sh" + ("" if self.rounds == rounds else f" --rounds {self.rounds}")
        for option in named:
            value = getattr(self.options, option.dest)
            if value != option.default:
                self.command += f" {option.option_strings[0]}" + ("" if value is True else f" {value}")
        self.values = {}
        self.foreign = []

    def each_round(self):
        """Counts the rounds. Before each one it waits, three minutes in all, until the machine is idle, and keeps how busy it was."""
        end = time.monotonic() + (0 if self.options.no_wait else 180)
        for number in range(1, self.rounds + 1):
            waits = False
            while (other := busy(0.5)) > 0.1 and time.monotonic() < end:
                if not waits:
                    progress(f"the machine is {other:.0%} busy with other things; waiting")
                waits = True
            self.foreign.append(other)
            progress(f"{self.name}: round {number} of {self.rounds}")
            yield number
        progress("")

    def add(self, figure, value):
        self.values.setdefault(figure, []).append(value)

    def median(self, figure):
        return statistics.median(self.values[figure])

    def finish(self, budgets):
        """Prints the table and adds a line to the results. Budgets: (what, value, limit, at_most), where no limit is no budget."""
        width = max(map(len, self.values))
        print(f"\n{'':{width}}  {'median':>12} {'least':>12} {'most':>12}")
        for figure, values in self.values.items():
            print(f"{figure:{width}}  {statistics.median(values):12,.4g} {min(values):12,.4g} {max(values):12,.4g}"
                  .replace("e+", "e"))
        print()
        width = max(len(what) for what, *_ in budgets)
        rows = []
        for what, value, limit, at_most in budgets:
            kept = value <= limit if at_most else value >= limit
            print(f"{what:{width}}  {value:12,.4g}   {'≤' if at_most else '≥'} {limit:<12,.4g} {'kept' if kept else 'MISSED'}")
            rows.append({"what": what, "value": round(value, 4), "limit": limit, "at_most": at_most, "kept": kept})
        print(f"\nbusy with other things before each round: {', '.join(f'{other:.0%}' for other in self.foreign)}")

        if not self.options.quick:
            with RESULTS.open("a") as results:
                results.write(json.dumps({
                    "benchmark": self.name,
                    "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                    "command": self.command,
                    "note": self.options.note,
                    "commit": commit(),
                    "machine": machine(),
                    "peer": peer_version(),
                    "nginx": nginx_version(),
                    "busy_before": [round(other, 3) for other in self.foreign],
                    "figures": {figure: [float(f"{value:.6g}") for value in values] for figure, values in self.values.items()},
                    "budgets": rows,
                }, ensure_ascii=False) + "\n")


def commit():
    """The commit that is checked out; with a + when there are changes on top."""
    def git(*words):
        return subprocess.run(["git", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no", "src") else "")


def machine():
    cpu = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    cores = os.cpu_count()
    return (f"{cores} core{'s' * (cores > 1)} of {cpu[1] if cpu else 'an unnamed processor'}, "
            f"{memory / 2**20:.0f} GiB, Linux {os.uname().release.split('-')[0]}")


def peer_version():
    first = subprocess.run([HAPROXY, "-v"], stdout=subprocess.PIPE, text=True).stdout
    return re.search(r"version ([^-\s]+)", first)[1]


def nginx_version():
    said = subprocess.run([NGINX, "-v"], stderr=subprocess.PIPE, text=True).stderr
    return re.search(r"nginx/(\S+)", said)[1]


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)
