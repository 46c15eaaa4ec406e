"""Everything in one run: real TCP clients, one ECM, one link, one ejabberd. All users log in, rest, write to each other at random while the ECM
is reloaded, and leave; nobody and no message may be lost. It tells what memory ECM, ejabberd, kernel and load generator take on the way. Beside it
users that are connected to an ejabberd directly, as many as it takes for a slope. ejabberd has no modules of its own (modules: {}) and
users are anonymous, but with --accounts. TLS, where there is any, begins with STARTTLS, at the ECM or in ejabberd."""

import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

import machine
from certificates import certificate, of_ecm
from ejabberd import ASLEEP, Ejabberd, crowd, login_rate
from harness import CLIENTS, MEGAPHONE, Benchmark, ecm, forget_earlier_connections, kernel, time
from load import TLS, read, start, watch
from reloading import Talk, reload
from user import User

MILLION = 1_000_000
MIB = 2**20
MESSAGES_PER_SECOND = 500
ON_THE_WAY = 10_000, 100_000
REST = 60  # seconds
PAUSE = 10  # seconds before each reload
ASKING = 20  # users who ask the server something, ten times a second each, to see how long a reload has them wait
QUESTION = b"<iq type='get' id='1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"
LOGIN_TIMEOUT = "10m"  # a machine that is made for this stands still now and then

# Of a million users, without and with TLS: GB of all of it, GiB of ejabberd, MiB of the ECM.
ALL_IN = {False: 8.1, True: 8.5}
LOGGING_IN = 4.6
ECM = {False: 80, True: 320}
LONGEST_WAIT = 500  # ms, of a million, over a reload
MANY = 100_000  # of fewer, what is there for any number of users is most


def login():
    """Options of users, for how they log in."""
    method = (["--login", "scram-sha-256", "--password", "pass", "--stream-management", "yes", "--roster", "yes"] if chosen.accounts
              else ["--login", "anonymous"])
    tls = ["--tls", "starttls", *TLS[2:]] if chosen.tls else []
    return [*method, *tls, *login_rate(modules)]


def accounts():
    """How many there are; the last ones are those of the users who ask."""
    return chosen.accounts and max(chosen.users, chosen.directly) + ASKING


def server(**env):
    return Ejabberd(accounts=accounts(), EJABBERD_MODULES=modules, **env)


def everything(folder):
    count = chosen.users
    tls = of_ecm(certificate(folder), "starttls") if chosen.tls else []
    with server(EJABBERD_MEGAPHONE="1") as far, ecm(
            "--Ecm:Clients:0:Framing", "stanza", "--Ecm:Link:To", far.links, "--Ecm:Proxy", "v2",
            "--Ecm:MaxClients", str(count + machine.OTHER_DESCRIPTORS), "--Ecm:Limits:LoginTimeout", LOGIN_TIMEOUT, *tls) as edge:
        # They log in first: what does not fit shows before anything has been measured.
        askers = [asker(number).connection for number in range(chosen.reloads and ASKING)]
        far.wait_until_idle(60)
        forget_earlier_connections()
        dropped = machine.dropped_packets()
        with machine.Kernel() as seen:
            figures = play(folder / "figures.json", lambda: over_reloads(edge, askers), "xmpp", "--to", CLIENTS, "--sessions", count, *login(),
                           *watch([edge, far]), "--hold", chosen.hold, "--messages", chosen.messages,
                           "--message-rate", MESSAGES_PER_SECOND, "--message-bytes", 100, "--patience", 300, "--after", 10)
        dropped = machine.dropped_packets() - dropped
        left = far.users(), clients_of(edge)
        names = {"ECM": str(edge.pid), "ejabberd": str(far.pid), "load generator": "bench"}
    report_messages(figures)
    report_memory(figures, names, seen, count)
    benchmark.add("users left at the end, in ejabberd", left[0])
    benchmark.add("clients left at the end, in the ECM", left[1])
    benchmark.add("packets that the kernel has dropped", dropped)
    benchmark.add("problems of the load generator", sum(figures["problems"].values()))
    for problem, times in figures["problems"].items():
        print(f"{times} × {problem}", file=sys.stderr)


def play(file, meanwhile, mode, *options):
    """Runs the load generator, whose progress is seen, and calls `meanwhile` when the first messages arrive; its figures, whatever went wrong."""
    file.touch()
    with start([MEGAPHONE, "bench", mode, *map(str, options), "--json", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as bench:
        for line in bench.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            if line.startswith("messages arriving: ") and meanwhile:
                meanwhile()
                meanwhile = None
    figures = read(file.read_text())
    if figures is None:
        sys.exit("the load generator left no figures")
    return figures


def asker(number):
    return User(CLIENTS, account=(f"user{accounts() - number}", "pass") if chosen.accounts else None, tls=chosen.tls)


def over_reloads(edge, askers):
    """Reloads the ECM a few times, and has some more users see how long they wait for answers."""
    if not askers:
        return
    talk = Talk(askers, QUESTION, every=0.1)
    talk.start()
    calm, times = (time.monotonic(), time.monotonic() + PAUSE), []
    for _ in range(chosen.reloads):
        time.sleep(PAUSE)
        times.append(reload(edge))
    time.sleep(PAUSE)
    benchmark.add("askers without an answer over reloads", talk.finish())
    benchmark.add("reloads: longest wait for an answer before the first, ms", talk.waits([calm])[-1])
    benchmark.add(WAIT, talk.waits(times)[-1])
    for connection in askers:
        connection.close()


def clients_of(edge):
    with urllib.request.urlopen(f"http://{edge.admin}/metrics", timeout=60) as metrics:
        return int(re.search(r"^megaphone_ecm_clients(?:{.*})? (\d+)", metrics.read().decode(), re.M)[1])


def report_messages(figures):
    benchmark.add("users logged in", figures["logged_in"])
    benchmark.add("logins/s (on a machine that is made for this, no measure of speed)", figures["logins_per_second"])
    for fate in ("sent", "arrived", "lost", "doubled", "misplaced") if chosen.messages else ():
        benchmark.add(f"messages {'out of order' if fate == 'misplaced' else fate}", figures[f"messages_{fate}"])


def report_memory(figures, names, seen, count):
    """Adds what each part takes at each time, in MiB, and what follows from it."""
    phases = figures["phases"]
    rested = phases["after hold"]
    times = {"before": phases["before"], **on_the_way(figures, count), "with all": phases["logged in"], "after a rest": rested,
             **({"after the messages": phases["after messages"]} if chosen.messages else {}), "after the end": phases["later"]}
    for time_of, sample in times.items():
        for name, key in names.items():
            benchmark.add(f"{name}, {time_of}: MiB", sample[key]["memory_bytes"] / MIB)
        benchmark.add(f"kernel, {time_of}: MiB", seen.at(sample["seconds"])[0] / MIB)
    coming = [sample for sample in (*figures["samples"], *phases.values()) if sample["seconds"] <= phases["logged in"]["seconds"]]
    for name, key in names.items():
        benchmark.add(f"{name}, at its peak: MiB", figures["peak_bytes"][key] / MIB)
    before_reloads = [sample for sample in (*figures["samples"], *phases.values()) if sample["seconds"] <= rested["seconds"]]
    benchmark.add("ECM, at its peak before reloads: MiB", max(sample[names["ECM"]]["memory_bytes"] for sample in before_reloads) / MIB)
    benchmark.add("kernel, at its peak: MiB", max(slab for _, slab, *_ in seen.looks) / MIB)
    benchmark.add("ejabberd, at its peak while they log in: MiB", max(sample[names["ejabberd"]]["memory_bytes"] for sample in coming) / MIB)

    (slab, sockets, available), (slab_after, sockets_after, available_after) = (
        seen.at(phases[phase]["seconds"]) for phase in ("before", "after hold"))
    # Both ends of each connection are on this machine, and alike; so a socket is one of two.
    each_socket = (slab_after - slab) / (sockets_after - sockets)
    parts = {name: rested[names[name]]["memory_bytes"] for name in ("ECM", "ejabberd")}
    each = {name: (taken - phases["before"][names[name]]["memory_bytes"]) / count for name, taken in parts.items()}
    for name, taken in each.items():
        benchmark.add(f"{name}: bytes for each user", taken)
    benchmark.add("kernel: bytes for each user's socket", each_socket)
    benchmark.add(EACH, sum(each.values()) + each_socket)
    benchmark.add(ALL, (sum(parts.values()) + each_socket * count) / 1e9)
    benchmark.add("new sockets for each user", (sockets_after - sockets) / count)
    benchmark.add("bytes that this machine has less available for each user, load generator included", (available - available_after) / count)


def on_the_way(figures, count):
    """The first look at as many users as are told of while they log in."""
    coming = [sample for sample in figures["samples"] if sample["seconds"] <= figures["phases"]["logged in"]["seconds"]]
    found = {many: next((sample for sample in coming if sample["clients"] >= many), None) for many in ON_THE_WAY if many < count}
    return {f"at {many:,}": sample for many, sample in found.items() if sample}


def directly():
    few = chosen.directly // 4
    with server(EJABBERD_MEGAPHONE="1") as alone:
        def look():
            alone.wait_until_idle(60 + chosen.directly / 100)
            return (*kernel(), alone.own_memory())

        forget_earlier_connections()
        with crowd("xmpp", alone.direct, few, alone, *login()):
            time.sleep(ASLEEP)
            before = look()
            with crowd("xmpp", alone.direct, chosen.directly - few, alone, *login(), "--first", few + 1):
                time.sleep(ASLEEP)
                slab, sockets, resident = (after - earlier for earlier, after in zip(before, look()))
    each, each_socket = resident / (chosen.directly - few), slab / sockets
    benchmark.add("directly, ejabberd: bytes for each user", each)
    benchmark.add("directly, kernel: bytes for each user's socket", each_socket)
    benchmark.add(ALONE, each + each_socket)


def budgets():
    yield f"of {chosen.users:,} users, logged in", benchmark.median("users logged in"), chosen.users, False
    if chosen.messages:
        yield f"of {chosen.messages:,} messages, arrived", benchmark.median("messages arrived"), chosen.messages, False
        wrong = sum(benchmark.median(f"messages {fate}") for fate in ("lost", "doubled", "out of order"))
        yield "messages lost, doubled or out of order", wrong, 0, True
    left = benchmark.median("users left at the end, in ejabberd") + benchmark.median("clients left at the end, in the ECM")
    yield "users and clients left at the end", left, 0, True
    if chosen.users == MILLION and not chosen.accounts:
        yield ALL, benchmark.median(ALL), ALL_IN[chosen.tls], True
        yield ("GiB of ejabberd at its peak while they log in",
               benchmark.median("ejabberd, at its peak while they log in: MiB") / 1024, LOGGING_IN, True)
        yield "MiB of the ECM at its peak, before the reloads", benchmark.median("ECM, at its peak before reloads: MiB"), ECM[chosen.tls], True
        # Where no message has arrived there was no reload, and that budget is missed.
        if WAIT in benchmark.values:
            yield WAIT, benchmark.median(WAIT), LONGEST_WAIT, True
    if chosen.directly and chosen.users >= MANY:
        yield "bytes for each user, directly : through the ECM", benchmark.median(ALONE) / benchmark.median(EACH), 4, False


WAIT = "reloads: longest wait for an answer over one, ms"
ALL = "GB of ECM, ejabberd, and the kernel's sockets of the users"
EACH = "all of it: bytes for each user"
ALONE = "directly, all of it: bytes for each user"
benchmark = Benchmark("full", __doc__, rounds=1, options={
    "--users": {"type": int, "default": MILLION, "metavar": "N", "help": f"default {MILLION:,}"},
    "--tls": {"action": "store_true", "help": "with TLS 1.3"},
    "--accounts": {"action": "store_true", "help": "accounts, SCRAM-SHA-256, Debian's default modules, roster and XEP-0198"},
    "--messages": {"type": int, "default": 100_000, "metavar": "M", "help": "between random pairs, default 100,000"},
    "--reloads": {"type": int, "default": 3, "metavar": "N", "help": "of the ECM while messages are on their way, default 3"},
    "--hold": {"type": int, "default": REST, "metavar": "SECONDS", "help": f"rest before it is measured, default {REST}"},
    "--directly": {"type": int, "default": 20_000, "metavar": "N", "help": "users of an ejabberd without an ECM, default 20,000; 0: none"},
})
chosen = benchmark.options
modules = "debian" if chosen.accounts else "none"
if chosen.hold < 1:
    sys.exit("--hold must be at least 1, as memory is measured at the end of it")
machine.demand(chosen.users, chosen.tls)
for _ in benchmark.each_round():
    with tempfile.TemporaryDirectory() as folder:
        if chosen.directly:
            directly()
        everything(pathlib.Path(folder))
benchmark.finish(list(budgets()))
