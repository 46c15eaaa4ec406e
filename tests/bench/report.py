#!/usr/bin/python3
"""Makes docs/benchmarks.md from the newest line of each benchmark in results.jsonl: tests/bench/report.py"""

import json
import pathlib
import statistics

import harness

# In this order they stand in the document.
TITLES = {
    "idle-memory": "Memory for each idle client",
    "users": "Memory for each idle user of an XMPP server",
    "pingpong": "Processor time and latency of a message",
    "tls": "TLS",
    "link": "One link",
    "headers": "The header of a packet",
    "stanzas": "The pieces of a stream",
    "accept": "Accepting connections",
    "start": "Size, start, and memory when idle",
}

NOTES = {
    "idle-memory": """
User-space memory only (`RssAnon` + `RssShmem`): the slope between 1,000 and 18,000 clients. The kernel's own memory for a
socket comes on top and is the same for everyone. A client that has said nothing has no session yet: the hub hears of it
with its first byte. HAProxy is shown both ways: waiting for the client's first byte (`tcp-request inspect-delay`), as the
ECM does, and with its connection to the server, where 9,000 clients are all that 20,000 descriptors allow.""",
    "users": """
Debian's ejabberd 23.01 with the modules for one-to-one chat; users who are logged in (SASL ANONYMOUS, a resource, a roster,
presence) and do nothing; plain TCP, without TLS. Each way has an ejabberd of its own; behind ECM and hub it gets `Proxy v2`
and has `use_proxy_protocol`. Resident is what a process takes from the machine (`RssAnon` + `RssShmem`), ECM and hub too: the
slope between 3,000 and 6,000 users. In ejabberd that includes what the logins left behind, which stays there until there is
reason to collect it and differs from round to round. Less garbage is what Erlang counts after a collection of everything, the
slope from none to 6,000 users. Clients that sent a PROXY header themselves, without Megaphone, showed both differences too in
shorter trials: less that is live, and more garbage. The kernel's part is an estimate: what all its objects grew by (`Slab` in
/proc/meminfo), over the number of new sockets, both ends being on this machine.

**ejabberd does not get smaller behind a hub**: the hub opens a TCP connection for each session, so ejabberd pays for each
user as before, and the machine that the hub runs on pays a little more. What moves is the clients' own connections: a
machine at the edge that holds them pays the ECM's few bytes and the kernel's socket for each, and nothing else.""",
    "pingpong": """
1,000 clients, each sends 200 bytes and waits for their echo; the load generator and the echo server share the two cores
with what is measured. ECM and hub are two processes and do twice the hops; their processor time is added up. "With echo" the
hub answers itself, so that the two do as many hops as HAProxy and its server. Nine tenths of the time is the kernel's; with a
server behind the hub a message that travels alone takes four sends, four receives and four wake-ups of sleeping threads,
where HAProxy takes two of each; when many travel together the links' share of that is small. At the fixed
rate a message leaves every 250 µs, the clients taking turns, and its latency counts from when it should have left. The
ratios are taken round by round.""",
    "tls": """
Clients are Python's, with TLS 1.3. Memory is the slope between 500 and 5,000 clients that have made their handshake and said
nothing; HAProxy has a connection to its server for each. Handshakes are as many as two programs make one after the other,
certificates not being verified; a resumed one has an exchange of 200 bytes behind it, because the ticket for the next comes with
that. Messages: 1,000 clients, 200 bytes each way, 3,000 a second. The hub answers itself, so that ECM and hub do as many hops
as HAProxy and its server.""",
    "link": """
A load generator plays an ECM of sections 1 to 3 of the [link protocol](protocol.md): 1,000 sessions in turn, packets of one
size (header included) as fast as they are taken, every header that comes back looked at, no byte lost. It shares the two
cores with the hub. The raw echo receives and sends with large buffers and looks at nothing; it is shown with the system's
own congestion control and with Reno, which links within one machine choose for themselves: BBR, where that is the system's,
paces by timers what nothing on loopback could congest.""",
    "headers": """
In process, under the JIT of .NET 10, on one core: each round is the median of seven runs over headers of all sizes. The plain
scanner is what the vectorised parser falls back to for anything out of the ordinary.""",
    "stanzas": """
In process, under the JIT of .NET 10, on one core: each round is the median of seven runs over one client's stream of messages of
1,024 bytes each, with a body of 369 characters and what usual clients put beside it (13 elements, 15 attributes). So much
arrives at a time: 16 KiB as a busy client's reads bring it, 1 KiB so that nearly every stanza is cut in two and put together
again, 100 bytes as if it came in small packets.""",
    "accept": """
Clients connect one after the other as fast as they can, and say nothing; then all of them are closed at once.""",
    "start": """
Both roles and the admin endpoint in one process, everything as by default but for the addresses; resident memory one second
after the start, pages of the file included. HAProxy's time is until it takes a connection.""",
}

HEAD = """# Benchmarks

What Megaphone costs, measured side by side with HAProxy {version} in the same run: one script for each claim, ours and the
peer in turn, so that whatever else the machine does meets both. All is over loopback, and load, servers and what is measured
share the machine's cores. Made by `tests/bench/report.py` from `tests/bench/results.jsonl`; every script prints the same
table and adds a line to that file.

## Against the budgets

| what | measured | budget | |
|---|---|---|---|
"""

TAIL = """
## The peer

HAProxy runs with two threads, as the ECM does on two cores, without logs and without splicing; splicing pays for large
streams, not for messages. Its configuration, less the timeouts:

```
{config}```

## What was not measured

- More than one machine, a real network card, and more than two cores.
- More than 18,000 clients of one process; descriptors end at 20,000 where these figures were taken.
- TLS on links, and with other ciphers than the clients' first choice.
- Other peers than HAProxy, and other servers than ejabberd; users who log in over TLS.
- Hours: each round lasts seconds. Growth over time is not seen here.
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


def newest():
    rows = {}
    for line in harness.RESULTS.read_text().splitlines():
        row = json.loads(line)
        rows[row["benchmark"]] = row
    return [rows[name] for name in TITLES if name in rows]


def section(row):
    busy = max(row["busy_before"])
    note = row.get("note")
    lines = [f"\n## {TITLES[row['benchmark']]}", NOTES[row["benchmark"]], ""]
    if row["benchmark"] == "users":
        lines.append(per_user(row))
    lines += [f"| `{row['command']}` | median | least | most |", "|---|---|---|---|"]
    lines += [f"| {figure} | {number(statistics.median(values))} | {number(min(values))} | {number(max(values))} |"
              for figure, values in row["figures"].items()]
    lines.append(f"\n{row['date'][:10]}, commit {row['commit']}, {row['machine']}; {len(row['busy_before'])} rounds, the machine "
                 f"at most {busy:.0%} busy with other things before each.{' ' + note if note else ''}\n")
    return "\n".join(lines)


def main():
    rows = newest()
    config = harness.HAPROXY_CONFIG.format(peer=harness.PEER, echo=harness.ECHO, rules="").strip()
    text = HEAD.format(version=rows[0].get("peer", ""))
    for row in rows:
        for budget in row["budgets"]:
            text += (f"| {budget['what']} | {number(budget['value'])} | {'≤' if budget['at_most'] else '≥'} "
                     f"{number(budget['limit'])} | {'kept' if budget['kept'] else '**missed**'} |\n")
    text += "".join(section(row) for row in rows)
    text += TAIL.format(config="\n".join(line for line in config.splitlines() if "timeout" not in line) + "\n")
    (pathlib.Path(harness.ROOT) / "docs" / "benchmarks.md").write_text(text)


main()
