"""How users come back when their server has died and is there again: an ejabberd with an external authentication that takes 50 ms for each
password, 20 at the same time. Everybody comes back at once, and again when that fails, as real clients do. Through an ECM that paces logins,
through one that does not, and directly: how long it takes until all are back, who is refused or gives up, and what ejabberd has to bear."""

import contextlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

from ejabberd import EJABBERD, Ejabberd
from harness import BENCH, CLIENTS, Benchmark, ecm, os, time, wait_until
from returning import LONGEST_WAIT, Returning

AUTH = """auth_method: external
extauth_program: "{program}"
extauth_pool_size: 20
auth_use_cache: false"""
PER_SECOND = 20 / 0.05  # what the authentication can do
IN_ONE_PROCESS = 5_000  # users that one process plays
LOOKS = (1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600)  # seconds
WAYS = {"paced": [], "not paced": ["--Ecm:Logins:AtOnce", "0"], "directly": None}


class Watch(threading.Thread):
    """Samples a server and its users, twice a second."""

    def __init__(self, server, crowds, began):
        super().__init__(daemon=True)
        self.server, self.crowds, self.began, self.samples, self.ends = server, crowds, began, [], threading.Event()
        self.asked = subprocess.Popen([EJABBERD, "eval", server.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.join()
        self.asked.communicate(timeout=10)

    def run(self):
        while not self.ends.wait(0.5):
            self.asked.stdin.write("erlang:statistics(total_run_queue_lengths).\n")
            queue = int(self.asked.stdout.readline())
            self.samples.append((time.monotonic() - self.began, sum(crowd.online.value for crowd in self.crowds), queue,
                                 self.server.own_memory() / 2**20))

    def at(self, seconds):
        """The last sample before that."""
        return next((sample for sample in reversed(self.samples) if sample[0] <= seconds), self.samples[0])


def come_back(way, settings, users):
    with contextlib.ExitStack() as running:
        # ejabberd's user need not be able to read this tree.
        folder = running.enter_context(tempfile.TemporaryDirectory(prefix="megaphone-auth-"))
        os.chmod(folder, 0o755)
        program = shutil.copy(BENCH / "slow_auth.py", folder)
        server = running.enter_context(
            Ejabberd(EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1", auth=AUTH.format(program=program)))
        to = server.direct
        if settings is not None:
            running.enter_context(ecm("--Ecm:Clients:0:Framing", "stanza", "--Ecm:Proxy", "v2", "--Ecm:Link:To", server.links, *settings))
            to = CLIENTS
        patience = 120 + 4 * users / PER_SECOND
        crowds = [Returning(to, min(IN_ONE_PROCESS, users - first), first) for first in range(0, users, IN_ONE_PROCESS)]
        for crowd in crowds:
            crowd.start()
            running.callback(crowd.join)
            running.callback(crowd.terminate)
            wait_until(lambda: crowd.online.value == crowd.count, "all users are logged in", patience)
        before = server.own_memory()
        given_up = sum(crowd.given_up.value for crowd in crowds)

        os.kill(server.pid, signal.SIGKILL)
        server.start_again()
        began, cpu = time.monotonic(), server.cpu()
        with Watch(server, crowds, began) as watch:
            wait_until(lambda: all(crowd.lost.value >= crowd.count and crowd.online.value == crowd.count for crowd in crowds),
                       "all users are back", patience)
            took = time.monotonic() - began
            time.sleep(1)
        benchmark.add(f"{way}: seconds until all are back", took)
        benchmark.add(f"{way}: refused", sum(crowd.refused.value for crowd in crowds))
        benchmark.add(f"{way}: gave up waiting for an answer", sum(crowd.given_up.value for crowd in crowds) - given_up)
        benchmark.add(f"{way}: ejabberd's run queue, at most", max(queue for _, _, queue, _ in watch.samples))
        benchmark.add(f"{way}: MiB of ejabberd before", before / 2**20)
        benchmark.add(f"{way}: MiB of ejabberd, at most", max(memory for *_, memory in watch.samples))
        benchmark.add(f"{way}: CPU seconds of ejabberd", server.cpu() - cpu)
        for seconds in (look for look in LOOKS if look <= took):
            _, online, queue, memory = watch.at(seconds)
            benchmark.add(f"{way}, after {seconds} s: % of users", 100 * online / users)
            benchmark.add(f"{way}, after {seconds} s: run queue", queue)
            benchmark.add(f"{way}, after {seconds} s: MiB", memory)


benchmark = Benchmark("relogin", __doc__, rounds=3, options={
    "--users": {"type": int, "default": 20_000, "help": "default 20,000"},
})
descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
if benchmark.options.users > descriptors - 500:
    sys.exit(f"a process may open {descriptors:,} files: --users {descriptors - 1_000} is possible, or more where `ulimit -Hn` is higher")
for _ in benchmark.each_round():
    for name, given in WAYS.items():
        come_back(name, given, benchmark.options.users)

benchmark.finish([
    ("seconds until all are back, paced : what the authentication takes, and a client's longest pause",
     benchmark.median("paced: seconds until all are back") / (benchmark.options.users / PER_SECOND + LONGEST_WAIT), 1.5, True),
    ("refused, paced", benchmark.median("paced: refused"), 0, True),
    ("gave up, paced : not paced",
     benchmark.median("paced: gave up waiting for an answer") / max(1, benchmark.median("not paced: gave up waiting for an answer")), 1, True),
])
