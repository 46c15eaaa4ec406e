#!/usr/bin/python3
"""Makes docs/benchmarks.md, and its pictures, from the newest line of each benchmark in results.jsonl: tests/bench/report.py"""

import json
import re
import statistics
import subprocess

import harness

# The picture of a benchmark: its file, and what it shows.
PICTURES = {
    "full": ("pictures/million.svg", "What a million users take"),
    "curve": ("pictures/curve.svg", "What each user costs, from 1,000 to 1,000,000"),
    "relogin": ("pictures/relogin.svg", "How users come back to a slow server that has died"),
}

# In this order they stand in the document: what users cost, how many there may be, what they do, and the parts.
TITLES = {
    "full": "All the memory that users take, in one run",
    "sessions": "Memory for each idle user, over a link into ejabberd",
    "users": "Memory for each idle user, through a hub",
    "idle-memory": "Memory for each idle client",
    "curve": "From a thousand to a million",
    "million": "A million users",
    "million-connections": "A million connections",
    "closing": "Losing a link full of sleepers",
    "failover": "The death of a server",
    "relogin": "A slow server that comes back",
    "cuts": "A network that loses everything for a while",
    "cut-chat": "Chat over a link that is cut again and again",
    "reload-chat": "Chat through reloads",
    "reload": "A reload",
    "attacks": "Under attack",
    "sleepers": "Messages to sleepers",
    "keepalives": "Keepalives",
    "accept": "Accepting connections",
    "chat": "The whole way of a chat message",
    "pingpong": "Processor time and latency of a message",
    "tls": "TLS",
    "web": "Users over WebSocket",
    "link": "One link",
    "addresses": "Counting by address",
    "headers": "The header of a packet",
    "stanzas": "The pieces of a stream",
    "start": "Size, start, and memory when idle",
}

NOTES = {
    "full": """
Everything in one run: real TCP clients, one ECM (stanza framing, `Proxy v2`), one link into the module, one ejabberd, each a process of its
own. All log in, rest for a minute, then 500 messages a second go between random pairs, each of which must arrive once and in order, and at
the end each stream is closed in order. While the messages go the ECM is reloaded three times; 20 more users ask the server something ten
times a second then, and the longest that one of them has waited is told for the ten seconds before the first reload, and for the reloads.
Memory is a process's own (`RssAnon` + `RssShmem`), and all of the kernel's objects (`Slab` in /proc/meminfo). Both ends of each connection
are on this machine, and no different: of what the kernel's objects grow by half is counted, the load generator and its half are not. Users
are anonymous, on an ejabberd without modules of its own; with `--accounts` they log in with SCRAM-SHA-256 at 300 a second, which the roster's
file follows, enable stream management and ask for their rosters, which are empty, on an ejabberd with the modules that Debian gives it.
Directly: users of an ejabberd without an ECM, the slope between a quarter of them and all; with TLS they begin with STARTTLS, as those of the
ECM do. A process may have so many descriptors in a machine that `tests/bench/uml.sh` makes: its one core and its slow system calls make the
logins no measure of speed.""",
    "sessions": """
Users come over one link, as `megaphone bench link` plays them, or connect to ejabberd directly (`bench xmpp`): SASL ANONYMOUS, a
resource, presence, then silence until the sessions sleep. Resident: by how much the process has grown (`RssAnon` + `RssShmem`),
with what the logins left behind. In use: what Erlang counts after a collection of everything. No ECM's memory and no
kernel's: `full.sh` measures all of it together. Debian's modules keep more for each user than none do,
and with them a login is not over when it is answered: ejabberd looks up each roster in a file, some hundreds a second. So users log
in at 300 a second there, either way, and as fast as they are answered otherwise.""",
    "curve": """
ejabberd with the module and none of its own, as above, each number of users in an ejabberd of its own; one ECM process with more
and more idle clients. A flat line is a cost that does not depend on how many there are. What a fixed number of buffers and tables
takes is spread over few users at the left, and over many at the right; and so is, in what is resident, the room that logins under
way at the same time needed and that Erlang keeps for later. The last points
are from the runs below.""",
    "million": """
`megaphone bench link` plays an ECM: all users over one link into ejabberd with `modules: {}`. They log in as fast as they are
answered, stay and do nothing, then 2,000 messages a second go between random pairs, each of which must arrive once and in order.
Resident memory is ejabberd's (`RssAnon` + `RssShmem`), looked at four times a second. Beside them as many
users as one ejabberd has descriptors for connect to it directly; what they take is measured as above.""",
    "million-connections": """
One ECM process, one link to a hub with the backend `echo:`, on a machine where a process may have so many descriptors: a virtual
one that was made for it, so that memory means something here, and speed does not. Every client opens a session; then messages of
random clients must come back. Resident is all of it, pages of the file included. What the garbage collector stopped everything
for is read every ten seconds from `megaphone_gc_pause_seconds_total`; the most that it grew by from one look to the next is an upper
bound of the longest pause. Where the processor was emulated, twenty to thirty times slower than this one, so were its collections. What
is left at the end is the link's ring, which so many who leave at once fill for the first time, and what the looks left behind.""",
    "closing": """
All sessions of one link sleep when it is lost. ejabberd wakes and ends them at the module's `close_rate`, so that not all are awake
at once. Memory is looked at ten times a second; nothing is collected for it. Then the link of as many is cut for 20 seconds by a relay between
the two, and taken up again; how many sessions hibernate is asked three times.""",
    "failover": """
Three ejabberd nodes of one cluster and an ECM, all on this machine. Users connect to the ECM, log in (SASL ANONYMOUS) and do nothing; when their
connection ends they come back after half a second to a second, and after twice as long each time that fails. They log in at the server's pace
(`Ecm:Logins`), or with `--unpaced` all at the same time; the figures here are from before there was a pace. Two hundred others write to each
other, one message a second each. One node is killed; "others" are the pairs of whom neither was on it. When it is there again it has nobody,
and a third of all users comes anew. Users, ECM and servers share the two cores, and Python plays the users: what the last of them waits for
is a processor.""",
    "relogin": """
One ejabberd without modules of its own; passwords are checked by external programs, 20 of them, which take 50 ms each, so 400 logins a
second is the most. All users are logged in, each from an address of its own (127.40.0.0/16) when ejabberd is killed and started again. They
come back after half a second to a second, and after twice as long each time that fails, up to 16 s; who gets no answer for 30 s gives up
and comes back likewise. Paced: through an ECM as it is by default; not paced: with `Ecm:Logins:AtOnce` 0; directly: without an ECM. Time
begins when ejabberd is there again; only then those of an ECM hear that their sessions are over. Run queue: processes that could run and do
not (`total_run_queue_lengths`). Users, ECM and server share the cores.""",
    "cuts": """
ECM and hub (`echo:`) in two network namespaces that a cable joins. The far end's address is taken away for a while: packets are lost in both
directions, and neither end is told. One client sends a byte each ten milliseconds all the time, the others hold sessions; what counts is the
time from when the address is back until any byte comes back to that client.""",
    "cut-chat": """
The ECM and the users (`megaphone bench xmpp`, SASL ANONYMOUS) are in a network namespace, ejabberd is not. Half of the users speak TLS. Each writes
to one other, and messages are numbered. Cuts: 30 by a reset (`ss -K`) while much is sent, 7 by a `reload_config` that starts the listener
anew, 10 by a network that loses everything for a second, which TCP gets over by itself, two for 20 seconds, one for 60. One user reads
nothing all the time, and reads then 2,000 messages; one is in the middle of a stanza at each cut that is shorter than half a minute, and ends
it then. What the ECM has more after the cuts is for the most part garbage of its answers to the benchmark, which looks at its metrics all the
time: 60 KiB each. What ejabberd has more is for the most part not in use (the row below it): after 20 and 60 seconds without a network all
sessions have much to do at the same time, and Erlang keeps the room that this took. Without cuts it takes 160 MiB more than while they all sleep,
since sessions that chat are awake, 18 KB each, and no more from then on. With `--hub` a hub connects to ejabberd's own listener, and there is no
module. In place of 13 of the resets and of the listener's starts the hub is reloaded 20 times by SIGHUP, three of them with another binary in the
place of its own; each reload cuts the link, too.""",
    "reload-chat": """
The same users and servers; what happens meanwhile is 18 reloads of the ECM by SIGHUP, two more with another binary in the place of its own, five
whose certificate cannot be used, which are refused, and six cuts of the link (`ss -K`). Each reload cuts the link, too.""",
    "reload": """
An ECM that is reloaded ten times by SIGHUP, and HAProxy in its master-worker mode, reloaded ten times by SIGUSR2. Every client of the ECM has
a session over the link to a hub (`echo:`), HAProxy's wait without a server. A hundred more ask, and ask again ten milliseconds after
the answer. The wait is that of each of them for the answer that took longest while a reload was under way. HAProxy's old workers stay
while they have clients; one more client comes after each reload. Memory is that of all its processes.""",
    "attacks": """
The attacks of [attacks.md](attacks.md), each against processes of its own, while 200 honest clients chat, half of them plain and half with TLS, each
with one other and four messages a second: through an ECM into ejabberd's module, and where the same attack can be had, through HAProxy,
which ends TLS and tells ejabberd the clients' addresses (`send-proxy-v2`), and in ejabberd itself. Attacks on a hub have one between ECM and
ejabberd; `colliding-ids` has an echo. A wait is that of a message, from its sender to the other client; those of as long a time
without the attack stand before it. Memory (RssAnon) is that of the attacked process. Logins are those of others, from the
first attempt to the last, who give up after two seconds and come back. Attackers, honest clients and servers share the cores.""",
    "sleepers": """
A hundred users write, to all others in turn. Over a link these are asleep when their turn comes, as sessions fall asleep after a
second here; connected directly they never sleep, as ejabberd has it. Both without ejabberd's own modules. Flat out there is one
message for each; at the fixed rates each hears one in three seconds, or nine, and what it costs to fall asleep again is counted. At
2,000 messages a second most of what either takes is Erlang's schedulers, which wake for each message and then spin for a while: that
is why a message costs more there than at 6,000, and how much more changes from run to run.""",
    "keepalives": """
Clients send white space to keep their connections alive, 20,000 times a second all together. An ECM with stanza framing keeps it
to itself; otherwise ejabberd reads, parses and drops it. What is told is the processor time of ejabberd alone.""",
    "idle-memory": """
User-space memory only (`RssAnon` + `RssShmem`): the slope between 1,000 and 18,000 clients. The kernel's own memory for a
socket comes on top and is the same for everyone. A client that has said nothing has no session yet: the hub hears of it
with its first byte. This was before the ECM kept an eye on those who have not logged in: since then such a one takes 140 bytes, and 58 when it
has. The proxies are shown both ways: waiting for the client's first byte (HAProxy's `tcp-request inspect-delay`,
nginx's `ssl_preread`), as the ECM does, and with their connection to the server, where 9,000 clients are all that 20,000
descriptors allow. ejabberd has a process for each connection, which waits for the first byte too.""",
    "users": """
Debian's ejabberd 23.01 with the modules for one-to-one chat; users who are logged in (SASL ANONYMOUS, a resource, presence)
and do nothing; plain TCP, without TLS. Each way has an ejabberd of its own; behind ECM and hub it gets `Proxy v2`
and has `use_proxy_protocol`. Resident is what a process takes from the machine (`RssAnon` + `RssShmem`), ECM and hub too: the
slope between 3,000 and 6,000 users. In ejabberd that includes what the logins left behind, which stays there until there is
reason to collect it and differs from round to round. Less garbage is what Erlang counts after a collection of everything, the
slope from none to 6,000 users. Clients that sent a PROXY header themselves, without Megaphone, showed both differences too in
shorter trials: less that is live, and more garbage. The kernel's part is an estimate: what all its objects grew by (`Slab` in
/proc/meminfo), over the number of new sockets, both ends being on this machine.

**ejabberd does not get smaller behind a hub**: the hub opens a TCP connection for each session, so ejabberd pays for each
user as before, and the machine that the hub runs on pays a little more. What moves is the clients' own connections: a
machine at the edge that holds them pays the ECM's few bytes and the kernel's socket for each, and nothing else.""",
    "chat": """
What a user would compare: 1,000 users (SASL ANONYMOUS) write to each other, each to one other, messages of 100 bytes at a fixed rate.
Through an ECM and the module; through HAProxy, which opens a connection to ejabberd for each of them and tells it the client's address
(`send-proxy-v2`); directly. TLS, from the first byte on, ends at the ECM, at HAProxy, or in ejabberd. Each time in an ejabberd of its own,
without modules of its own. Processor time is that of ejabberd and what is in front of it, both ways of a message; a latency
counts from when the message should have left. The ratios are taken round by round. At 1,000 messages a second most of what ejabberd takes
is schedulers that wake and spin, and two sockets for each message wake more of them than one link does. At 5,000 they are awake anyway, and
a message passes two processes more in Erlang than it does without the module, the link's receiver and its sender.""",
    "pingpong": """
1,000 clients, each of which sends 200 bytes and waits for their echo; the load generator and the echo server, both `megaphone
bench`, share the two cores with what is measured. ECM and hub are two processes and do twice the hops; their processor time is
added up, as that of nginx's two workers is. "With echo" the hub answers itself, so that the two do as many hops as a proxy and its
server. Nine tenths of the time is the kernel's; with a server behind the hub a message that travels alone takes four sends, four
receives and four wake-ups of sleeping threads,
where HAProxy takes two of each, and sleeps between them only if the server is slow; when many travel together the links' share of
that is small. At the fixed rate a message leaves every 250 µs, the clients taking turns, and its latency counts from when it should
have left. The ratios are taken round by round. The bare relay (`tests/bench/bare_relay.c`) stands beside them as the least that two
processes with a link between them can do: a hundred and fifty lines of C with the same calls to the kernel, which
check nothing and bound nothing. It tells what is left to be had, and what is not: with a server behind the hub it takes nearly twice what
HAProxy takes for a message that travels alone. Most of that is what it costs to wake a thread on another core, which has gone to sleep
meanwhile. Which cores anything runs on is left to the system.""",
    "tls": """
Clients are the load generator's, with TLS 1.3; those that only shake hands are Python's. Memory is the slope between 500 and
18,000 clients that have made their handshake and said nothing, seven seconds after the last; for HAProxy between 500 and 5,000,
with a connection to its server for each. Handshakes are as many as two programs make one after the other, certificates not being
verified; a resumed one has an exchange of 200 bytes behind it, because the ticket for the next comes with that. Messages: 1,000
clients, 200 bytes each way, each client with one under way all the time, or 3,000 a second, one client after the other. Where TLS
ends, the ECM and HAProxy are one hop each; what answers is the hub, or the load generator's echo server behind HAProxy, whose
processor time is in the second pair of figures. The stream is 1 GB, from a client to a server, both Python's, with TLS 1.3 and
AES-128: from the first byte that is sent until the last one has arrived. The server is at the end of the ECM's link, or behind HAProxy.
Clients that want AES-256 offer nothing else; otherwise the server chooses, ECM and HAProxy AES-128. ejabberd is there as
the server that clients reach directly, on a listener with TLS from the first byte on and without modules: for each handshake it starts a
session, and ends it, and its idle clients have not logged in.""",
    "web": """
Users (SASL ANONYMOUS) that `megaphone bench xmpp --web` plays, each over a WebSocket, without TLS (ws) and with it (wss): at an ECM in front of
the module; at ejabberd's own listener (`ejabberd_http_ws`); at nginx, which relays to that, and ends TLS. Each time in an ejabberd of its own,
without modules of its own. Memory (`RssAnon` + `RssShmem`) is the slope between 500 and 9,000 users who are logged in and silent, eleven seconds
after the last login: sessions over a link sleep by then. In ejabberd it includes what the logins left behind, which differs from round to
round. Processor time is that of ejabberd and what is in front of it, both ways of a message of 200 bytes, of 1,000 users who write 2,000
a second, each to one other. The ratios are taken round by round.""",
    "link": """
`megaphone bench flood` plays an ECM of sections 1 to 3 of the [link protocol](protocol.md): 1,000 sessions in turn, packets of one
size, header included, as fast as they are taken, every header that comes back checked, no byte lost. It shares the two
cores with the hub. The raw echo, `megaphone bench echo-server`, receives and sends with large buffers and looks at nothing; it is
shown with the system's own congestion control and with Reno, which links within one machine choose for themselves: BBR, where that is the system's,
paces by timers what nothing on loopback could congest.""",
    "addresses": """
The table behind `Ecm:Limits`, in process on one core, with a connection from each of a million addresses, which are asked for in an order that
looks like chance: what is known of an address, and one more connection of it that is counted and counted off again.""",
    "headers": """
In process, under the JIT of .NET 10, on one core: each round is the median of seven runs over headers of all sizes. The plain
scanner is what the vectorised parser falls back to for anything out of the ordinary.""",
    "stanzas": """
In process, under the JIT of .NET 10, on one core: each round is the median of seven runs over one client's stream of messages of
1,024 bytes each, with a body of 369 characters and what usual clients put beside it (13 elements, 15 attributes). So much
arrives at a time: 16 KiB as a busy client's reads bring it, 1 KiB so that nearly every stanza is cut in two and put together
again, 100 bytes as if it came in small packets.""",
    "accept": """
Clients connect as fast as they can, and send nothing; then all of them are closed at once.""",
    "start": """
Both roles and the admin endpoint in one process, everything as by default but for the addresses; resident memory one second
after the start, pages of the file included. HAProxy's time is until it takes a connection.""",
}

HEAD = """# Benchmarks

What Megaphone costs, measured side by side with HAProxy {haproxy}, nginx {nginx} and Debian 12's ejabberd 23.01 in the same run:
one script for each claim, ours and the peers in turn, so that whatever else the machine does meets all of them. All is over
loopback, and load, servers and what is measured share the machine's cores. Made by `tests/bench/report.py` from
`tests/bench/results.jsonl`; every script prints the same table and adds a line to that file.

## Against the budgets

| what | measured | budget | | by |
|---|---|---|---|---|
"""

TAIL = """
## The peers

HAProxy runs with two threads and nginx with two workers, as the ECM does on two cores, without logs; HAProxy without splicing,
which pays for large streams, not for messages. Their configurations, less the timeouts:

```
{haproxy}```

```
{nginx}```

ejabberd is Debian's, in a folder of its own ([ejabberd.yml](../tests/ejabberd/ejabberd.yml)).

## What was not measured

- More than one machine, a real network card, and more than two cores.
- More than 18,000 clients of one process other than in a virtual machine; descriptors end at 20,000 where these figures were
  taken.
- TLS on links; TLS with ChaCha20; other figures than memory with AES-256.
- Other servers than ejabberd, and newer versions of it.
- What clients notice of a reload.
- Hours: each round lasts seconds, or minutes. Growth over time is not seen here.
"""


def number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def size(value):
    """Bytes, for people."""
    return f"{value / 1024:.1f} KiB" if value >= 1024 else f"{value:.0f} bytes"


def per_user(row):
    """The comparison in short, medians but for what is too uneven: what a user costs, and on which machine."""
    def median(figure):
        return statistics.median(row["figures"][figure])

    def resident(way):
        values = row["figures"][f"{way}: KiB in ejabberd, resident"]
        return f"{min(values):.0f} to {max(values):.0f} KiB"

    def live(way):
        return size(1024 * median(f"{way}: KiB in ejabberd, less garbage"))

    socket = 1024 * median("directly: KiB in the kernel for each TCP socket")
    socket_behind = 1024 * median("ECM and hub: KiB in the kernel for each TCP socket")
    return f"""| memory for each idle user | ejabberd directly | through ECM and hub |
|---|---|---|
| at the edge: ECM | – | {size(median("ECM and hub: bytes in the ECM"))} |
| at the edge: kernel, one socket, about | – | {size(socket_behind)} |
| at the server: hub | – | {size(median("ECM and hub: bytes in the hub"))} |
| at the server: ejabberd, less garbage | {live("directly")} | {live("ECM and hub")} |
| at the server: ejabberd, resident | {resident("directly")} | {resident("ECM and hub")} |
| at the server: kernel, one socket or two, about | {size(socket)} | {size(2 * socket_behind)} |
"""


def points(rows, pattern):
    """Medians of all figures whose names match, by the number in their names."""
    found = {}
    for row in rows:
        for figure, values in row["figures"].items():
            if match := re.fullmatch(pattern, figure):
                found[int(match[1].replace(",", ""))] = statistics.median(values)
    return found


def taken(row, which):
    """GB of a million users: what each part takes in a run of so many, or ("directly") would take at what the slope of fewer says."""
    def figure(name):
        return statistics.median(row["figures"][name])

    if which == "directly":
        return {"ejabberd": figure("directly, ejabberd: bytes for each user") / 1e3,
                "kernel's sockets": figure("directly, kernel: bytes for each user's socket") / 1e3}
    return {"ejabberd": figure("ejabberd, after a rest: MiB") * 2**20 / 1e9,
            "kernel's sockets": figure("kernel: bytes for each user's socket") / 1e3,
            "ECM": figure("ECM, after a rest: MiB") * 2**20 / 1e9}


def million_users(rows):
    """GB that a million users take, by the way that they come and by part."""
    found = {variant(row): row for row in rows if row["benchmark"] == "full"}
    columns = {}
    for command, tls in ("full.sh", ""), ("full.sh --tls", ", TLS"):
        if row := found.get(command):
            columns[f"ejabberd alone{tls} (extrapolated)"] = taken(row, "directly")
            columns[f"with Megaphone{tls}"] = taken(row, "through the ECM")
    return columns


def million_table(columns):
    lines = [f"| a million users, GB | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for part in "ejabberd", "kernel's sockets", "ECM":
        lines.append(f"| {part} | {' | '.join(f'{parts[part]:.2f}' if part in parts else '–' for parts in columns.values())} |")
    lines.append(f"| all of it | {' | '.join(f'{sum(parts.values()):.1f}' for parts in columns.values())} |\n")
    return "\n".join(lines)


MEMORY = re.compile(r"(ECM|ejabberd|kernel|load generator), (.+): MiB")


def memory_table(row):
    """What each part of a full run takes at each time."""
    times = {}
    for figure, values in row["figures"].items():
        if found := MEMORY.fullmatch(figure):
            times.setdefault(found[2], {})[found[1]] = number(statistics.median(values))
    parts = ("ECM", "ejabberd", "kernel", "load generator")
    lines = [f"| `{row['command']}`, MiB | {' | '.join(parts)} |", "|---" * (1 + len(parts)) + "|"]
    lines += [f"| {time} | {' | '.join(found.get(part, '–') for part in parts)} |" for time, found in times.items()]
    return "\n".join(lines) + "\n"


ATTACK = re.compile(r"([a-z0-9-]+), (\w+): (.+)")
# What is told of an attack, and the head of its column.
ATTACK_FIGURES = {
    "p99 ms without it": "p99 ms without it", "longest ms without it": "longest", "p99 ms": "p99 ms with it", "longest ms": "longest",
    "harmed": "harmed", "MiB before": "MiB before", "MiB at the peak": "at the peak", "KiB of log": "KiB of log",
    "logins, p99 ms": "logins, p99 ms", "logins, longest ms": "longest",
}


def attack_table(row):
    """One line for each attack and what it was played against."""
    played = {}
    for figure, values in row["figures"].items():
        attack, front, what = ATTACK.fullmatch(figure).groups()
        played.setdefault(attack, {}).setdefault(front, {})[what] = number(statistics.median(values))
    lines = [f"| `{row['command']}` | in front | {' | '.join(ATTACK_FIGURES.values())} |", "|---" * (2 + len(ATTACK_FIGURES)) + "|"]
    lines += [f"| `{attack}` | {front} | {' | '.join(found.get(what, '') for what in ATTACK_FIGURES)} |"
              for attack, fronts in played.items() for front, found in fronts.items()]
    return "\n".join(lines)


def curves(rows):
    """What the picture shows: what each user costs as they become more, in charts of `megaphone bench chart`. None without the figures."""
    chosen = [row for row in rows if row["benchmark"] in ("curve", "million-connections")]
    if not any(row["benchmark"] == "curve" for row in chosen):
        return None
    resident = points(chosen, r"ejabberd, ([\d,]+) users: KiB, resident")
    login = points(chosen, r"ejabberd, ([\d,]+) users: CPU ms/login")
    for row in rows:
        if row["benchmark"] == "million":
            users = int(statistics.median(row["figures"]["users logged in"]))
            resident.setdefault(users, statistics.median(row["figures"]["KiB for each user of that"]))
            login.setdefault(users, statistics.median(row["figures"]["CPU ms of ejabberd for each login"]))
    return [
        chart("KiB of ejabberd for each idle user", resident=resident, in_use=points(chosen, r"ejabberd, ([\d,]+) users: KiB, in use"),
              resident_directly=points(chosen, r"ejabberd, ([\d,]+) users directly: KiB, resident")),
        chart("CPU ms of ejabberd for each login", over_a_link=login,
              directly=points(chosen, r"ejabberd, ([\d,]+) users directly: CPU ms/login")),
        chart("Bytes of the ECM for each idle client", clients=points(chosen, r"ECM, ([\d,]+) clients: bytes each")),
    ]


AFTER = re.compile(r"(.+), after (\d+) s: (.+)")


def returns(rows):
    """How users come back as time passes, and what the server bears. None without the figures."""
    row = next((row for row in rows if row["benchmark"] == "relogin"), None)
    if not row:
        return None
    found = {}
    for figure, values in row["figures"].items():
        if match := AFTER.fullmatch(figure):
            found.setdefault(match[3], {}).setdefault(match[1], {})[int(match[2])] = statistics.median(values)
    titles = {"% of users": "% of users who are back, by seconds", "run queue": "Run queue of ejabberd", "MiB": "MiB of ejabberd"}
    return [chart(title, **found[figure]) for figure, title in titles.items()]


def chart(title, **curves):
    return {"title": title, "curves": {name.replace("_", " "): sorted(found.items()) for name, found in curves.items() if found}}


def variant(row):
    """What was asked for: the script, and what it was told other than how often."""
    return re.sub(r" --rounds \d+", "", row["command"]).removeprefix("tests/bench/")


def newest():
    """The newest row of each benchmark, and of each variant of it, in their order."""
    rows = {}
    for line in harness.RESULTS.read_text().splitlines():
        row = json.loads(line)
        rows[row["benchmark"], variant(row)] = row
    return [row for name in TITLES for (benchmark, _), row in rows.items() if benchmark == name]


def section(row, is_first, drawn, columns):
    busy = max(row["busy_before"], default=None)
    rounds = max(map(len, row["figures"].values()))
    quiet = "" if busy is None else f", the machine at most {busy:.0%} busy with other things before each"
    note = row.get("note")
    lines = [f"\n## {TITLES[row['benchmark']]}", NOTES[row["benchmark"]]] if is_first else []
    lines.append("")
    if row["benchmark"] == "users":
        lines.append(per_user(row))
    if is_first and drawn.get(row["benchmark"]):
        file, what = PICTURES[row["benchmark"]]
        lines.append(f"![{what}]({file})\n")
    if row["benchmark"] == "full":
        lines += [*([million_table(columns)] if is_first and columns else []), memory_table(row)]
    if row["benchmark"] == "attacks":
        lines.append(attack_table(row))
    else:
        lines += [f"| `{row['command']}` | median | least | most |", "|---|---|---|---|"]
        lines += [f"| {figure} | {number(statistics.median(values))} | {number(min(values))} | {number(max(values))} |"
                  for figure, values in row["figures"].items()
                  if not AFTER.fullmatch(figure) and not (row["benchmark"] == "full" and MEMORY.fullmatch(figure))]
    lines.append(f"\n{row['date'][:10]}, commit {row['commit']}, {row['machine']}; {rounds} round{'s' * (rounds > 1)}{quiet}."
                 f"{chr(10) + note if note else ''}\n")
    return "\n".join(lines)


def without_timeouts(config):
    return "\n".join(line for line in config.strip().splitlines() if "timeout" not in line) + "\n"


def main():
    rows = newest()
    versions = {key: next((row[key] for row in rows if row.get(key)), "") for key in ("peer", "nginx")}
    text = HEAD.format(haproxy=versions["peer"], nginx=versions["nginx"])
    for row in rows:
        for budget in row["budgets"]:
            text += (f"| {budget['what']} | {number(budget['value'])} | {'≤' if budget['at_most'] else '≥'} "
                     f"{number(budget['limit'])} | {'kept' if budget['kept'] else '**missed**'} | `{variant(row)}` |\n")
    recorded = {row["benchmark"] for row in rows}
    for name in TITLES:
        if name not in recorded:
            text += f"| {TITLES[name]} | not recorded yet | | | `{name}.sh` |\n"
    columns = million_users(rows)
    drawn = {"curve": curves(rows), "relogin": returns(rows),
             "full": [{"title": "GB of a million users", "bars": columns}] if columns else None}
    seen = set()
    for row in rows:
        text += section(row, row["benchmark"] not in seen, drawn, columns)
        seen.add(row["benchmark"])
    text += TAIL.format(
        haproxy=without_timeouts(harness.HAPROXY_CONFIG.format(peer=harness.PEER, echo=harness.ECHO, rules="")),
        nginx=without_timeouts(harness.NGINX_CONFIG.format(
            folder="FOLDER", peer=harness.NGINX_PEER, echo=harness.ECHO, rules="")))
    docs = harness.ROOT / "docs"
    (docs / "benchmarks.md").write_text(text)
    for benchmark, (file, _) in PICTURES.items():
        if drawn[benchmark]:
            subprocess.run([harness.MEGAPHONE, "bench", "chart", "--curves", "/dev/stdin", "--svg", docs / file],
                           input=json.dumps(drawn[benchmark]), text=True, cwd=harness.ROOT, check=True)


main()
