"""The XMPP server that the benchmarks start, and its users."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

from harness import ROOT, Child, time
from load import Crowd, grown, run, watch

ASLEEP = 11  # seconds; a session over a link falls asleep after one, or ten when it has said more since its login
EJABBERD = ROOT / "tests" / "ejabberd" / "ejabberd.sh"


class Ejabberd(Child):
    """An ejabberd of its own for each measurement, as memory that an earlier one has used would be used again."""

    def __init__(self, *more, accounts=0, auth="auth_method: anonymous", **env):
        """`more`: lines for its configuration; `accounts`: see register; `auth`: how users log in without; `env`: see ejabberd.sh."""
        self.folder = tempfile.mkdtemp(prefix="megaphone-users-")
        try:
            lines = "\n".join(["auth_scram_hash: sha256" if accounts else auth, *more])
            settings = self.script("start", EJABBERD_PROXY_PORT="25222", EJABBERD_MORE=lines, **env)
        except BaseException:
            # It may run already, and may not even have noted its settings.
            with contextlib.suppress(SystemExit, subprocess.SubprocessError):
                self.script("stop")
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        read = dict(line.split("=", 1) for line in settings.splitlines() if "=" in line)
        self.pid = int(read["PID"])
        self.proxy = f"127.0.0.1:{read['PROXY_PORT']}"
        self.direct = f"127.0.0.1:{read['DIRECT_PORT']}"
        self.tls = f"127.0.0.1:{read['TLS_PORT']}" if "TLS_PORT" in read else None
        self.web = f"127.0.0.1:{read['WEB_PORT']}" if "WEB_PORT" in read else None
        self.links = f"127.0.0.1:{read['LINK_PORT']}" if "LINK_PORT" in read else None
        if accounts:
            self.register(accounts)

    def register(self, count):
        """Makes accounts for SCRAM-SHA-256: user1, user2 and so on, all with the first one's password. That is made into a key once, which
        takes milliseconds, and is none of what a login costs."""
        done = self.ask(
            'ok = ejabberd_auth:try_register(<<"user1">>, <<"localhost">>, <<"pass">>), '
            "[First] = mnesia:dirty_read(passwd, mnesia:dirty_first(passwd)), "
            "lists:foreach(fun(N) -> Name = list_to_binary(\"user\" ++ integer_to_list(N)), "
            "mnesia:dirty_write(setelement(2, First, setelement(1, element(2, First), Name))) end, "
            f"lists:seq(2, {count})), mnesia:table_info(passwd, size)")
        if done != str(count):
            self.stop()
            sys.exit(f"accounts were not made: {done}")

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)  # there is nothing to keep, and an orderly end takes its time
        self.script("stop")
        shutil.rmtree(self.folder)

    def start_again(self):
        """Starts it after it was killed, on the same ports."""
        read = dict(line.split("=", 1) for line in self.script("start").splitlines() if "=" in line)
        self.pid = int(read["PID"])

    def script(self, command, *words, **env):
        # To collect the garbage of a million processes takes its time.
        done = subprocess.run([EJABBERD, command, self.folder, *words], stdout=subprocess.PIPE, text=True, timeout=600,
                              env={**os.environ, **env})
        if done.returncode != 0:
            sys.exit(f"ejabberd.sh {command} failed")
        return done.stdout

    def descriptors(self):
        """Without its own files, which Mnesia opens and closes as it likes."""
        open_now = pathlib.Path(f"/proc/{self.pid}/fd")
        return sum(not os.readlink(open_now / number).startswith(self.folder) for number in os.listdir(open_now))

    def live(self):
        """The bytes that are in use after all garbage has been collected."""
        return int(self.script("memory"))

    def ask(self, expression):
        """The value of an Erlang expression in ejabberd. To make 100,000 accounts takes minutes on a machine that is made for this."""
        return subprocess.run([EJABBERD, "eval", self.folder], input=expression + ".\n", stdout=subprocess.PIPE, text=True,
                              timeout=600, check=True).stdout.strip()

    def peak(self):
        """Samples its memory until the block ends; see Peak."""
        asked = subprocess.Popen([EJABBERD, "eval", self.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        return Peak(self, asked)

    def users(self):
        return int(self.script("ctl", "connected_users_number"))

    def wait_until_idle(self, patience=20):
        """Waits until it uses less than a fiftieth of a core for half a second, three times in a row."""
        quiet = 0
        end = time.monotonic() + patience
        while time.monotonic() < end:
            before = self.cpu()
            time.sleep(0.5)
            quiet = quiet + 1 if self.cpu() - before < 0.01 else 0
            if quiet == 3:
                return
        sys.exit("ejabberd does not become idle")


class Peak(threading.Thread):
    """The first and the highest sample of an ejabberd's memory, in bytes: resident, and in use as Erlang counts. Collects no garbage."""

    EVERY = 0.1  # seconds

    def __init__(self, server, asked):
        super().__init__(daemon=True)
        self.server, self.asked, self.ends = server, asked, threading.Event()
        self.first = self.most = self.look()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.join()
        self.asked.communicate(timeout=10)

    def look(self):
        self.asked.stdin.write("erlang:memory(total).\n")
        return self.server.own_memory(), int(self.asked.stdout.readline())

    def run(self):
        while not self.ends.wait(self.EVERY):
            self.most = tuple(map(max, self.most, self.look()))


def login_rate(modules):
    """With Debian's modules a login is not over when it is answered: ejabberd looks up each roster in a file, some hundreds a second.
    Users who come faster than that are all awake at the same time, and what that takes is not given back."""
    return ["--rate", "300"] if modules == "debian" else []


def crowd(mode, to, users, server, *more):
    """Users who are logged in, directly ("xmpp") or over a link ("link"), and idle."""
    return Crowd(mode, *session_options(to, users, server), *more, awaited="logging in", clients=users)


def play(mode, to, users, server, *more, hold=0, patience=300):
    """Users who log in, stay, write to each other and leave; the figures."""
    return run(mode, *session_options(to, users, server), "--hold", hold, *more, patience=patience)


def session_options(to, users, server):
    return ["--to", to, "--sessions", users, "--login", "anonymous", "--end", "cut", *watch([server])]


def cost_of_users(mode, count, modules):
    """What each idle user costs an ejabberd of its own when so many are logged in, directly ("xmpp") or over a link ("link")."""
    with Ejabberd(EJABBERD_MODULES=modules, EJABBERD_MEGAPHONE="1") as server:
        before = server.own_memory(), server.live()
        with crowd(mode, server.links if mode == "link" else server.direct, count, server, *login_rate(modules)) as users:
            time.sleep(ASLEEP)
            server.wait_until_idle(60 + count / 100)
            after = server.own_memory(), server.live()
    return {
        "KiB, resident": (after[0] - before[0]) / count / 1024,
        "KiB, in use": (after[1] - before[1]) / count / 1024,
        "logins/s": users.figures["logins_per_second"],
        "CPU ms/login": grown(users.figures, server, "cpu_seconds", "logged in") / count * 1e3,
    }
