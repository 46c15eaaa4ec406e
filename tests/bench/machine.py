"""What this machine must allow for very many connections, and what they take of it."""

import contextlib
import pathlib
import re
import resource
import socket
import sys
import threading

from harness import kernel, time

OTHER_DESCRIPTORS = 1_000
KIB_EACH = 14  # two sockets of 4 KiB, a session in ejabberd that is awake after its login, and what ECM and load generator keep
KIB_EACH_TLS = 1
KIB_BESIDE = 800 << 10
FIRST_ADDRESS = "127.64.0.1"  # clients come from 127.64.0.0/10, each from an address of its own, so that ports do not run out


def proc(path):
    return pathlib.Path("/proc", path).read_text()


def memory(key):
    """A line of /proc/meminfo, in bytes."""
    return int(re.search(rf"^{key}:\s+(\d+)", proc("meminfo"), re.M)[1]) * 1024


def demand(users, tls):
    """Ends the benchmark if this machine does not allow so many users, who have both ends of their connections on it; says why."""
    lacking = list(find_lacking(users, tls))
    for what, advice in lacking:
        print(f"lacking: {what}\n         {advice}", file=sys.stderr)
    if lacking:
        sys.exit("A machine that has it: tests/bench/uml.sh COMMAND")


def find_lacking(users, tls):
    needed = users + OTHER_DESCRIPTORS
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limits < needed:
        yield f"a process may have {limits:,} descriptors, and {needed:,} are needed", f"ulimit -n {needed}, by root in the shell that starts this"
    for name, each, beside in ("fs/nr_open", 1, OTHER_DESCRIPTORS), ("fs/file-max", 2, 100_000), ("fs/epoll/max_user_watches", 2, 10_000):
        allowed, wanted = int(proc(f"sys/{name}")), each * users + beside
        if allowed < wanted:
            yield f"{name.replace('/', '.')} is {allowed:,}, and {wanted:,} are needed", f"sysctl -w {name.replace('/', '.')}={wanted}"
    if int(proc("sys/vm/overcommit_memory")) == 2:
        yield "vm.overcommit_memory is 2, and .NET and Erlang reserve more addresses than they use", "sysctl -w vm.overcommit_memory=0"
    available, wanted = memory("MemAvailable") >> 10, users * (KIB_EACH + KIB_EACH_TLS * tls) + KIB_BESIDE
    if available < wanted:
        yield f"{available >> 20:,} GiB of memory are available, and about {wanted / 2**20:.0f} are needed", "fewer --users, or more memory"
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind((FIRST_ADDRESS, 0))
        return
    yield f"{FIRST_ADDRESS} is not this machine's, and clients come from such addresses", "ip address add 127.0.0.1/8 dev lo"


def dropped_packets():
    """Those that found the kernel's queue of packets that have come in full, over loopback too, since it was started."""
    return sum(int(line.split()[1], 16) for line in proc("net/softnet_stat").splitlines())


class Kernel(threading.Thread):
    """Looks at the kernel every second, until the block ends: bytes of its own objects, and TCP sockets."""

    def __init__(self):
        super().__init__(daemon=True)
        self.began, self.looks, self.ends = time.monotonic(), [], threading.Event()
        self.look(drops_caches=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.join()

    def look(self, drops_caches=False):
        self.looks.append((time.monotonic() - self.began, *kernel(drops_caches), memory("MemAvailable")))

    def run(self):
        while not self.ends.wait(1):
            self.look()

    def at(self, seconds):
        """The last look until then: bytes of the kernel's objects, sockets, and bytes that are available on the machine."""
        return next(rest for when, *rest in reversed(self.looks) if when <= seconds or when == self.looks[0][0])
