"""Bytes of memory per idle user who is logged in to ejabberd, directly or through ECM and hub: the slope from FEW to MANY."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from harness import BENCH, CLIENTS, ROOT, Benchmark, Child, ecm, hub, time

FEW = 3_000
MANY = 6_000

EJABBERD = ROOT / "tests" / "ejabberd" / "ejabberd.sh"


class Ejabberd(Child):
    """An ejabberd of its own for each measurement, as memory that an earlier one has used would be used again."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="megaphone-users-")
        try:
            # Anybody may log in, without an account.
            settings = self.script("start", EJABBERD_PROXY_PORT="25222", EJABBERD_MORE="auth_method: anonymous")
        except BaseException:
            shutil.rmtree(self.folder)
            raise
        read = dict(line.split("=", 1) for line in settings.splitlines())
        self.pid = int(read["PID"])
        self.proxy = f"127.0.0.1:{read['PROXY_PORT']}"
        self.direct = f"127.0.0.1:{read['DIRECT_PORT']}"

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)  # there is nothing to keep, and to say farewell to everyone takes its time
        self.script("stop")
        shutil.rmtree(self.folder)

    def script(self, command, *words, **env):
        done = subprocess.run([EJABBERD, command, self.folder, *words], stdout=subprocess.PIPE, text=True, timeout=60,
                              env={**os.environ, **env})
        if done.returncode != 0:
            sys.exit(f"ejabberd.sh {command} failed")
        return done.stdout

    def live(self):
        """The bytes that are in use after all garbage has been collected."""
        return int(self.script("memory"))

    def users(self):
        return int(self.script("ctl", "connected_users_number"))

    def fall_quiet(self):
        """Waits until half a second takes less than a fiftieth of a processor, three times in a row."""
        quiet = 0
        for _ in range(40):
            before = self.cpu()
            time.sleep(0.5)
            quiet = quiet + 1 if self.cpu() - before < 0.01 else 0
            if quiet == 3:
                return
        sys.exit("ejabberd does not fall quiet")


def users(to, count, group):
    return Child("/usr/bin/python3", str(BENCH / "xmpp_users.py"), "--to", to, "--users", str(count),
                 "--group", str(group), ready="READY", patience=60)


def kernel():
    """Bytes of the kernel's own objects, and how many TCP sockets there are."""
    slab = int(re.search(r"^Slab:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)[1]) * 1024
    sockets = int(re.search(r"^TCP:.* alloc (\d+)", pathlib.Path("/proc/net/sockstat").read_text(), re.M)[1])
    return slab, sockets


def slope(way, server, address, beside):
    """Adds what each user costs the server, and the processes that are named beside it."""
    def look():
        server.fall_quiet()
        return [*kernel(), server.own_memory(), *(process.own_memory() for process in beside.values())]

    live = server.live()
    # What the few say goes around in rings that are the same for any number of users; they are all touched then.
    with users(address, FEW, 0):
        few = look()
        with users(address, MANY - FEW, 1):
            slab, sockets, resident, *rest = [after - before for before, after in zip(few, look())]
            logged_in = server.users()
            live = server.live() - live  # last, as it sweeps away what the others measure
    each = MANY - FEW
    benchmark.add(f"{way}: KiB in ejabberd, resident", resident / each / 1024)
    benchmark.add(f"{way}: KiB in ejabberd, less garbage", live / MANY / 1024)
    for name, grown in zip(beside, rest):
        benchmark.add(f"{way}: bytes in the {name}", grown / each)
    benchmark.add(f"{way}: KiB in the kernel for each TCP socket", slab / sockets / 1024)
    benchmark.add(f"{way}: users logged in at the end", logged_in)


def directly():
    with Ejabberd() as server:
        slope("directly", server, server.direct, {})


def through_ecm_and_hub():
    with Ejabberd() as server, hub(f"tcp://{server.proxy}") as far, ecm("--Ecm:Proxy", "v2") as edge:
        slope("ECM and hub", server, CLIENTS, {"ECM": edge, "hub": far})


# ejabberd is in a session of its own and would outlive this process, if that did not unwind.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

benchmark = Benchmark("users", __doc__)
for number in benchmark.each_round():
    steps = [directly, through_ecm_and_hub]
    for step in steps if number % 2 else reversed(steps):
        step()
benchmark.finish([
    ("bytes per logged-in user in the ECM", benchmark.median("ECM and hub: bytes in the ECM"), 64, True),
    (f"of {MANY:,} users, logged in at the end", min(benchmark.values["ECM and hub: users logged in at the end"]), MANY, False),
])
