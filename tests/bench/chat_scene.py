"""Users who chat through an ECM and ejabberd, with a hub between the two or without, while something is done to the link, or to one of its
ends: half of them plain, half with TLS. One more reads nothing meanwhile, and another is in the middle of a stanza each time. Not one session
may end, and not one message be lost, doubled or out of order."""

import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile

from certificates import certificate
from ejabberd import Ejabberd
from far import HERE, Far
from harness import MEGAPHONE, Benchmark, Child, progress, start, sys, time, wait_until
from user import User

PLAIN, TLS, ADMIN = "127.0.0.1:5222", "127.0.0.1:5223", "127.0.0.1:6281"
MESSAGES_PER_SECOND = 300  # of each half
FOR_THE_SLOW = 2_000  # messages
PAUSE = 2  # seconds between two trials
# Seconds that all chat before the first trial. By then each has said something, and something was said to each: a session that
# has just logged in is asleep, and takes 20 KiB less in ejabberd than one that chats.
WARM_UP = 60
LONGEST_STANZA = 30  # seconds of a trial that somebody spends in the middle of a stanza
# Looks at the ECM's metrics. Each is garbage of some 60 KiB, so it is looked at as often before the trials as later.
LOOKS = 600
# What the longest silence adds to how long a message may take.
PATIENCE = 180


class Half:
    """Half of the users, played by the load generator, as it reports them."""

    def __init__(self, far, to, count, messages, *tls):
        self.output = tempfile.TemporaryFile("w+")
        self.progress = tempfile.TemporaryFile("w+")
        self.bench = start(far.command(
            MEGAPHONE, "bench", "xmpp", "--to", to, "--sessions", str(count), "--rate", "1000", "--messages", str(messages),
            "--message-rate", str(MESSAGES_PER_SECOND), "--patience", str(PATIENCE), "--json", "-", *tls), stdout=self.output, stderr=self.progress)

    def is_at(self, phase):
        self.progress.seek(0)
        return phase in self.progress.read()

    def figures(self):
        if self.bench.wait(900) != 0:
            self.progress.seek(0)
            print(self.progress.read()[-1000:], file=sys.stderr)
        self.output.seek(0)
        return json.loads(self.output.read())


class End:
    """One end of the link: a binary of its own, and what it says of itself. `child`: its process, which a subclass starts."""

    child = None

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="megaphone-chat-")  # removed with this object
        self.folder = pathlib.Path(self.temporary.name)
        self.binary = self.folder / "megaphone"
        self.install()

    @staticmethod
    def command(*words):
        """A command that executes another one where this end is."""
        return words

    def install(self):
        """Puts another binary into the place of the one that runs."""
        shutil.copy(MEGAPHONE, f"{self.binary}.new")
        pathlib.Path(f"{self.binary}.new").rename(self.binary)

    def metric(self, name, where=""):
        """The sum of all samples of that name whose labels contain this; -1 if there is no answer."""
        done = subprocess.run(self.command("curl", "-s", f"http://{ADMIN}/metrics"), stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            return -1
        return sum(int(value) for labels, value in re.findall(rf"^{name}(\S*) (\d+)$", done.stdout, re.M) if where in labels)

    def reload(self, result):
        """Orders a reload, and waits until one more has come out like this. While one is under way nobody gets an answer."""
        before = self.metric("megaphone_reloads_total", result)
        os.kill(self.child.pid, signal.SIGHUP)
        time.sleep(0.5)
        wait_until(lambda: self.metric("megaphone_reloads_total", result) == before + 1, f"a reload that is {result}", 60)
        wait_until(lambda: self.metric("megaphone_links") == 1, "the link after a reload", 30)


class Edge(End):
    """The ECM, in the namespace at the far end."""

    def __init__(self, far, link):
        super().__init__()
        self.command = far.command
        self.certificate = certificate(self.folder)
        self.child = far.child(
            "--Ecm:Clients:0:Listen", PLAIN, "--Ecm:Clients:0:Framing", "stanza", "--Ecm:Clients:1:Listen", TLS,
            "--Ecm:Clients:1:Framing", "stanza", "--Ecm:Clients:1:Tls", "direct",
            "--Ecm:Tls:Certificates:0:Certificate", f"{self.certificate}.crt", "--Ecm:Tls:Certificates:0:Key", f"{self.certificate}.key",
            "--Ecm:Link:To", link, "--Ecm:Proxy", "v2", "--Admin:Listen", ADMIN, binary=str(self.binary))


class Module:
    """The link's near end where it is the module in ejabberd. `link`: where the ECM connects to; `parts`: what is measured here."""

    def __init__(self, server):
        self.link = f"{HERE}:{server.links.split(':')[1]}"
        self.parts = {}


class Hub(End):
    """The link's near end where it is a hub in front of ejabberd; the rest as for the module."""

    def __init__(self, server):
        super().__init__()
        self.link = f"{HERE}:6280"
        self.child = Child(str(self.binary), "--Hub:Listen", self.link, "--Hub:AllowOpenListener", "true",
                           "--Hub:Backend", f"tcp://{server.proxy}", "--Admin:Listen", ADMIN, ready="megaphone ready")
        self.parts = {"hub": self.child}


def reset(far, near, edge):
    """Resets the connection of the link. Now and then ss finds nothing, on a busy machine: it is asked again."""
    before = edge.metric("megaphone_link_cuts_total")
    port = near.link.split(":")[1]

    def is_cut():
        subprocess.run(far.command("ss", "-tK", "dst", HERE, "dport", "=", port), check=True, stdout=subprocess.DEVNULL)
        time.sleep(0.2)
        return edge.metric("megaphone_link_cuts_total") > before

    wait_until(is_cut, "a reset", 30)


def begin(name, description, **options):
    """The benchmark; `options` are more than the common ones."""
    return Benchmark(name, description, rounds=1, options={"--users": {"type": int, "default": 10_000, "help": "default 10,000"}, **options})


def run(benchmark, trials, trial, has_hub=False):
    """Has users chat, and does `trial(what, far, server, near, edge)` for each of `trials` meanwhile, in an order that looks like chance. `trials`
    are pairs of what is done and the seconds that it takes. Returns the results that all of these benchmarks have in common."""
    for _ in benchmark.each_round():
        with contextlib.ExitStack() as running:
            far = running.enter_context(Far())
            server = running.enter_context(Ejabberd(
                EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1",
                EJABBERD_LINK_MORE=f'ip: "{HERE}"\nallow_open_listener: true\nclose_rate: 5000'))
            near = Hub(server) if has_hub else Module(server)
            for child in near.parts.values():
                running.enter_context(child)
            chat(benchmark, far, server, near, trials, trial)

    lost = sum(benchmark.median(figure) for figure in benchmark.values if re.search("messages.*lost|doubled|misplaced|problems|ended", figure))
    return [
        ("sessions ended, messages lost, doubled or out of order", lost, 0, True),
        ("torn stanzas lost or broken", benchmark.median("torn stanzas lost or broken"), 0, True),
    ]


def chat(benchmark, far, server, near, trials, trial):
    """One round."""
    users = benchmark.options.users
    edge = Edge(far, near.link)
    with edge.child:
        wait_until(lambda: edge.metric("megaphone_links") == 1, "the link")
        parts = {"ECM": edge.child, **near.parts, "ejabberd": server}
        descriptors = {name: part.descriptors() for name, part in parts.items()}
        seconds = WARM_UP + sum(PAUSE + takes for _, takes in trials) + 30
        messages = seconds * MESSAGES_PER_SECOND
        halves = [Half(far, PLAIN, users // 2, messages), Half(far, TLS, users // 2, messages, "--tls", "direct", "--ca", "none")]
        wait_until(lambda: all(half.is_at("messages arriving: ") for half in halves), "all are logged in and begin to write", 120 + users / 100)
        with far.inside():
            slow, writer, torn = (User(PLAIN) for _ in range(3))
        logged_in = edge.metric("megaphone_ecm_clients")
        benchmark.add("users logged in", logged_in)
        time.sleep(WARM_UP)
        for _ in range(LOOKS):
            edge.metric("megaphone_links")
        memory = {name: part.own_memory() for name, part in parts.items()}
        in_use = int(server.ask("erlang:memory(total)"))

        order = trials[:]
        random.Random(1).shuffle(order)
        written = torn_apart = 0
        for number, (what, takes) in enumerate(order):
            # Who takes longer than a minute for a stanza is put out.
            is_torn = takes < LONGEST_STANZA
            if is_torn:
                torn.say(f"<message type='chat' to='{writer.address}'><body>first half, ".encode())
            for _ in range(FOR_THE_SLOW // len(order)):
                writer.message(slow.address, f"number {written}")
                written += 1
            progress(f"{benchmark.name}: {number + 1} of {len(order)}, {what}")
            trial(what, far, server, near, edge)
            if is_torn:
                torn.say(b"second half</body></message>")
                torn_apart += 1
            time.sleep(PAUSE)

        whole = sum(b"first half, second half" in writer.expect(b"</message>") for _ in range(torn_apart))
        benchmark.add("torn stanzas lost or broken", torn_apart - whole)
        arrived = [int(slow.expect(b"</message>").split(b"number ")[1].split(b"<")[0]) for _ in range(written)]
        benchmark.add("messages for the slow one, lost or out of order", sum(got != wanted for wanted, got in enumerate(arrived)))
        for name, part in parts.items():
            benchmark.add(f"{name}, MiB more than before", (part.own_memory() - memory[name]) / 2**20)
        benchmark.add("ejabberd, MiB more in use than before", (int(server.ask("erlang:memory(total)")) - in_use) / 2**20)
        ended = edge.metric("megaphone_sessions_closed_total")
        benchmark.add("sessions ended", ended)
        for name, end in (("ECM", edge), ("hub", near))[:1 + len(near.parts)]:
            benchmark.add(f"reloads of the {name}", end.metric("megaphone_reloads_total", "done"))
            benchmark.add(f"reloads of the {name} that were refused", end.metric("megaphone_reloads_total", "refused"))
        benchmark.add("cuts", edge.metric("megaphone_link_cuts_total"))
        benchmark.add("links that came back", edge.metric("megaphone_link_resumptions_total"))
        for half, kind in zip(halves, ("plain", "TLS")):
            figures = half.figures()
            for what in "sent", "arrived", "lost", "doubled", "misplaced":
                benchmark.add(f"{kind}: messages {what}", figures[f"messages_{what}"])
            benchmark.add(f"{kind}: problems of the load generator", sum(figures["problems"].values()))
            for problem, times in figures["problems"].items():
                print(f"{times} × {problem}", file=sys.stderr)
        for user in slow, writer, torn:
            user.connection.close()
        wait_until(lambda: edge.metric("megaphone_ecm_clients") == 0, "all have gone", 60)
        wait_until(lambda: server.ask("ets:info(session, size)") == "0", "no session is left", 60)
        for name, part in parts.items():
            before = descriptors[name]
            wait_until(lambda part=part, before=before: part.descriptors() <= before, f"as many descriptors of the {name} as before", 60)
            benchmark.add(f"{name}, descriptors before the first user", before)
            benchmark.add(f"{name}, descriptors behind the last one", part.descriptors())
