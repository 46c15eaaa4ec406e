"""The whole way of a chat message, from one client through the server to another: CLIENTS users (SASL ANONYMOUS) write to each other, each
to one other, 100 bytes, at a fixed rate; through an ECM into ejabberd's module, through HAProxy that tells ejabberd the clients' addresses
(send-proxy-v2), and directly; without TLS, and with TLS that ends at the ECM, at HAProxy, in ejabberd. Processor time is that of
ejabberd and what is in front of it. ejabberd has no modules of its own."""

import contextlib
import tempfile

from certificates import certificate, of_ecm, of_haproxy
from ejabberd import Ejabberd, play
from harness import CLIENTS, PEER, Benchmark, ecm, haproxy
from load import TLS, grown, watch

USERS = 1_000
BYTES = 100
RATES = 1_000, 5_000
SECONDS = 10
SETTLED = 3  # seconds from the last login to the first message
ECM, HAPROXY, DIRECTLY = "ECM and module", "HAProxy", "directly"
PLAIN, WITH_TLS = "plain", "TLS"


@contextlib.contextmanager
def through_ecm(name):
    with Ejabberd(EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1") as server, ecm(
            "--Ecm:Clients:0:Framing", "stanza", "--Ecm:Link:To", server.links, "--Ecm:Proxy", "v2", *(of_ecm(name) if name else [])) as edge:
        yield CLIENTS, server, [edge]


@contextlib.contextmanager
def through_haproxy(name):
    with Ejabberd(EJABBERD_MODULES="none") as server, haproxy(
            bind=PEER + (of_haproxy(name) if name else ""), to=f"{server.proxy} send-proxy-v2") as hop:
        yield PEER, server, [hop]


@contextlib.contextmanager
def directly(name):
    with Ejabberd(EJABBERD_MODULES="none", EJABBERD_TLS="1") as server:
        yield server.tls if name else server.direct, server, []


WAYS = {ECM: through_ecm, HAPROXY: through_haproxy, DIRECTLY: directly}


def chat(way, how, rate):
    messages = rate * SECONDS
    with WAYS[way](certificates[how]) as (to, server, edges):
        server.wait_until_idle()
        all_of_them = [server, *edges]
        figures = play("xmpp", to, USERS, server, *watch(all_of_them), *(TLS if how == WITH_TLS else []), "--messages", messages,
                       "--message-rate", rate, "--message-bytes", BYTES, hold=SETTLED)

    def used(processes, until, since):
        return sum(grown(figures, process, "cpu_seconds", until, since) for process in processes)

    name = f"{how}, {rate}/s, {way}"
    benchmark.add(f"{name}: CPU µs/message", used(all_of_them, "after messages", "after hold") / messages * 1e6)
    if edges:
        benchmark.add(f"{name}: of that in front of ejabberd", used(edges, "after messages", "after hold") / messages * 1e6)
    benchmark.add(f"{name}: p50 ms", figures["message_latency_us"]["p50"] / 1e3)
    benchmark.add(f"{name}: p99 ms", figures["message_latency_us"]["p99"] / 1e3)
    benchmark.add(f"{name}: CPU µs/login", used(all_of_them, "logged in", "before") / USERS * 1e6)


def compare(how, rate):
    for figure in "CPU µs/message", "p99 ms", "CPU µs/login":
        for beside in HAPROXY, DIRECTLY:
            ours, theirs = (benchmark.values[f"{how}, {rate}/s, {way}: {figure}"][-1] for way in (ECM, beside))
            benchmark.add(f"{how}, {rate}/s: {figure}, {ECM} : {beside}", ours / theirs)


def ratio(how, rate, figure):
    return benchmark.median(f"{how}, {rate}/s: {figure}, {ECM} : {HAPROXY}")


benchmark = Benchmark("chat", __doc__.replace("CLIENTS", f"{USERS:,}"), rounds=5)
with tempfile.TemporaryDirectory() as folder:
    certificates = {PLAIN: None, WITH_TLS: certificate(folder)}
    for number in benchmark.each_round():
        for how in PLAIN, WITH_TLS:
            for rate in RATES:
                for way in WAYS if number % 2 else reversed(WAYS):
                    chat(way, how, rate)
                compare(how, rate)
benchmark.finish([
    *((f"CPU per message at {rate}/s, {how}, {ECM} : {HAPROXY} and ejabberd", ratio(how, rate, "CPU µs/message"), limit, True)
      for how, limit in ((PLAIN, 0.9), (WITH_TLS, 0.8)) for rate in RATES),
    *((f"p99 at {rate}/s, {how}, {ECM} : {HAPROXY} and ejabberd", ratio(how, rate, "p99 ms"), 1, True)
      for how in (PLAIN, WITH_TLS) for rate in RATES),
    *((f"CPU per login, {how}, {ECM} : {HAPROXY} and ejabberd", ratio(how, RATES[0], "CPU µs/login"), 0.6, True) for how in (PLAIN, WITH_TLS)),
])
