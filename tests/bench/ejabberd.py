"""The XMPP server that the benchmarks start, and the users that the binary's own load generator plays."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

from harness import MEGAPHONE, ROOT, Child, time

EJABBERD = ROOT / "tests" / "ejabberd" / "ejabberd.sh"


class Ejabberd(Child):
    """An ejabberd of its own for each measurement, as memory that an earlier one has used would be used again."""

    def __init__(self, **env):
        self.folder = tempfile.mkdtemp(prefix="megaphone-users-")
        try:
            # Anybody may log in, without an account.
            settings = self.script("start", EJABBERD_PROXY_PORT="25222", EJABBERD_MORE="auth_method: anonymous", **env)
        except BaseException:
            shutil.rmtree(self.folder)
            raise
        read = dict(line.split("=", 1) for line in settings.splitlines())
        self.pid = int(read["PID"])
        self.proxy = f"127.0.0.1:{read['PROXY_PORT']}"
        self.direct = f"127.0.0.1:{read['DIRECT_PORT']}"
        self.links = f"127.0.0.1:{read['LINK_PORT']}" if "LINK_PORT" in read else None

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


def play(mode, to, clients, server, *more, hold=0, look=None, patience=300):
    """Users who log in, stay, write to each other and leave, as `megaphone bench` plays them; what it has to say of it.
    With `look`, which is called when they have been idle for `hold` seconds, they stay for as long again."""
    count = "--sessions" if mode == "link" else "--connections"
    words = [MEGAPHONE, "bench", mode, "--to", to, count, str(clients), "--login", "anonymous", "--watch", str(server.pid),
             "--hold", str(2 * hold if look else hold), "--end", "cut", "--json", "-", *more]
    with tempfile.TemporaryFile("w+") as said:
        bench = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        end = threading.Timer(patience, bench.kill)
        end.start()
        told = []
        for line in bench.stderr:
            told.append(line)
            if look and line.startswith(f"logging in: {clients:,} of"):
                time.sleep(hold)
                look()
                look = None
        bench.wait()
        end.cancel()
        said.seek(0)
        figures = json.loads(said.read() or "null")
    if bench.returncode != 0:
        sys.exit(f"{' '.join(words)}\nwent wrong: {figures['problems'] if figures else ''.join(told)}")
    figures["phases"] = {phase.pop("phase"): phase for phase in figures["phases"]}
    return figures


def grown(figures, server, what, until, since="before"):
    """By how much a process has grown from one phase to another: "memory_bytes", or "cpu_seconds"."""
    phases = figures["phases"]
    return phases[until][str(server.pid)][what] - phases[since][str(server.pid)][what]


# ejabberd is in a session of its own and would outlive this process, if that did not unwind.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
