"""Ten thousand users, half of them with TLS, chat through an ECM and ejabberd while the link between the two is cut fifty times: by a reset
in the middle of what is being sent, by a network that loses everything for 1, 20 and 60 seconds, by an ejabberd whose listener is
started anew. One more reads nothing meanwhile, and another is in the middle of a stanza. Not one session may end, and not one message be
lost, doubled or out of order."""

import contextlib
import itertools
import json
import pathlib
import random
import re
import socket
import subprocess
import tempfile

from certificates import certificate
from ejabberd import Ejabberd
from far import HERE, Far
from harness import MEGAPHONE, Benchmark, progress, start, sys, takes_connections, time, wait_until

PLAIN, TLS, ADMIN = "127.0.0.1:5222", "127.0.0.1:5223", "127.0.0.1:6281"
MESSAGES_PER_SECOND = 300  # of each half
FOR_THE_SLOW = 2_000  # messages
CUTS = ["reset"] * 30 + ["listener"] * 7 + [1] * 10 + [20, 20, 60]
CLOSE_RATES = itertools.count(5_001)  # all different, and none matters
PAUSE = 2  # seconds between two cuts
LOOKS = 600  # at the ECM's metrics. Each is garbage of some 60 KiB, so it is looked at as often before the cuts as later
# What the longest silence adds to how long a message may take.
PATIENCE = 180


class User:
    """A user who logs in by hand (SASL ANONYMOUS) and then does as it is told."""

    def __init__(self, far):
        with far.inside():
            host, port = PLAIN.split(":")
            self.connection = socket.create_connection((host, int(port)), 30)
        self.connection.settimeout(60)
        self.heard = b""
        self.open()
        self.say(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
        self.expect(b"<success")
        self.open()
        self.say(b"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        self.address = re.search(rb"<jid>([^<]+)</jid>", self.expect(b"</iq>"))[1].decode()
        self.say(b"<presence/>")
        self.expect(b"<presence")
        self.expect(b">")

    def open(self):
        self.say(b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
        self.expect(b"</stream:features>")

    def say(self, xml):
        self.connection.sendall(xml)

    def expect(self, text):
        while text not in self.heard:
            more = self.connection.recv(1 << 16)
            if not more:
                sys.exit(f"a user's connection has ended before {text}: {self.heard[-300:]}")
            self.heard += more
        before, _, self.heard = self.heard.partition(text)
        return before + text

    def message(self, to, text):
        self.say(f"<message type='chat' to='{to}'><body>{text}</body></message>".encode())


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


class Edge:
    """The ECM, in the namespace at the far end, and what it says of itself."""

    def __init__(self, far, link, name):
        self.child = far.child(
            "--Ecm:Clients:0:Listen", PLAIN, "--Ecm:Clients:0:Framing", "stanza", "--Ecm:Clients:1:Listen", TLS,
            "--Ecm:Clients:1:Framing", "stanza", "--Ecm:Clients:1:Tls", "direct", "--Ecm:Tls:Certificates:0:Certificate", f"{name}.crt",
            "--Ecm:Tls:Certificates:0:Key", f"{name}.key", "--Ecm:Link:To", link, "--Ecm:Proxy", "v2", "--Admin:Listen", ADMIN)
        self.far = far

    def metric(self, name):
        text = subprocess.run(self.far.command("curl", "-s", f"http://{ADMIN}/metrics"), stdout=subprocess.PIPE, text=True, check=True).stdout
        return sum(int(value) for value in re.findall(rf"^{name}\S* (\d+)$", text, re.M))


def restart_listener(server):
    """Gives the listener another option, so that ejabberd stops it and starts another."""
    file = pathlib.Path(server.folder, "ejabberd.yml")
    file.write_text(re.sub(r"close_rate: \d+", f"close_rate: {next(CLOSE_RATES)}", file.read_text()))
    server.script("ctl", "reload_config")
    time.sleep(0.5)


def reset(far, server):
    port = server.links.split(":")[1]
    subprocess.run(far.command("ss", "-tK", "dst", HERE, "dport", "=", port), check=True, stdout=subprocess.DEVNULL)
    time.sleep(0.2)


def cut(how, far, server, edge):
    before = edge.metric("megaphone_link_cuts_total")
    if how == "reset":
        # Now and then ss finds nothing, on a busy machine.
        wait_until(lambda: reset(far, server) or edge.metric("megaphone_link_cuts_total") > before, "a reset", 30)
    elif how == "listener":
        # Now and then ejabberd opens the port only when its configuration is loaded once more. Then the link may be up without a listener.
        wait_until(lambda: restart_listener(server) or takes_connections(f"{HERE}:{server.links.split(':')[1]}"), "the listener", 60)
        wait_until(lambda: edge.metric("megaphone_links") == 1, "the link after a listener's", 60)
        return
    else:
        far.lose()
        time.sleep(how)
        far.carry()
        # One that is short is left to TCP.
        wait_until(lambda: edge.metric("megaphone_links") == 1, f"the link after {how} s", 30)
        return
    wait_until(lambda: edge.metric("megaphone_link_cuts_total") > before and edge.metric("megaphone_links") == 1, f"the link after a {how}", 30)


def chat(far, server, users):
    folder = tempfile.mkdtemp(prefix="megaphone-cuts-")
    edge = Edge(far, f"{HERE}:{server.links.split(':')[1]}", certificate(folder))
    with edge.child:
        wait_until(lambda: edge.metric("megaphone_links") == 1, "the link")
        descriptors = edge.child.descriptors()
        seconds = sum(PAUSE + (how if isinstance(how, int) else 1) for how in CUTS) + 30
        messages = seconds * MESSAGES_PER_SECOND
        halves = [Half(far, PLAIN, users // 2, messages), Half(far, TLS, users // 2, messages, "--tls", "direct", "--ca", "none")]
        wait_until(lambda: all(half.is_at("messages arriving: ") for half in halves), "all are logged in and begin to write", 120 + users / 100)
        slow, writer, torn = User(far), User(far), User(far)
        torn.say(f"<message type='chat' to='{writer.address}'><body>first half, ".encode())
        logged_in = edge.metric("megaphone_ecm_clients")
        benchmark.add("users logged in", logged_in)
        for _ in range(LOOKS):
            edge.metric("megaphone_links")
        memory, beams = edge.child.own_memory(), server.own_memory()

        order = CUTS[:]
        random.Random(1).shuffle(order)
        written = 0
        for number, how in enumerate(order):
            for _ in range(FOR_THE_SLOW // len(order)):
                writer.message(slow.address, f"number {written}")
                written += 1
            progress(f"cut-chat: cut {number + 1} of {len(order)}, {how}")
            cut(how, far, server, edge)
            time.sleep(PAUSE)

        torn.say(b"second half</body></message>")
        benchmark.add("the torn stanza arrived whole", int(b"first half, second half" in writer.expect(b"</message>")))
        arrived = [int(slow.expect(b"</message>").split(b"number ")[1].split(b"<")[0]) for _ in range(written)]
        benchmark.add("messages for the slow one, lost or out of order", sum(got != wanted for wanted, got in enumerate(arrived)))
        benchmark.add("ECM, MiB after the cuts more than before", (edge.child.own_memory() - memory) / 2**20)
        benchmark.add("ejabberd, MiB after the cuts more than before", (server.own_memory() - beams) / 2**20)
        ended = edge.metric("megaphone_sessions_closed_total")
        benchmark.add("sessions ended", ended)
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
        wait_until(lambda: edge.child.descriptors() <= descriptors, "descriptors are where they were", 60)
        wait_until(lambda: server.ask("ets:info(session, size)") == "0", "no session is left", 60)


benchmark = Benchmark("cut-chat", __doc__, rounds=1, options={"--users": {"type": int, "default": 10_000, "help": "default 10,000"}})
for _ in benchmark.each_round():
    with contextlib.ExitStack() as running:
        cable = running.enter_context(Far())
        chat(cable, running.enter_context(Ejabberd(
            EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1",
            EJABBERD_LINK_MORE=f'ip: "{HERE}"\nallow_open_listener: true\nclose_rate: 5000')), benchmark.options.users)

lost = sum(benchmark.median(figure) for figure in benchmark.values if re.search("lost|doubled|misplaced|problems|ended", figure))
benchmark.finish([
    ("sessions ended, messages lost, doubled or out of order", lost, 0, True),
    ("torn stanzas that arrived whole", benchmark.median("the torn stanza arrived whole"), 1, False),
    ("cuts", benchmark.median("cuts"), 36, False),
    ("ECM, MiB after the cuts more than before", benchmark.median("ECM, MiB after the cuts more than before"), 8, True),
])
