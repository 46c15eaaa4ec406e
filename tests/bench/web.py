"""Users over WebSocket (SASL ANONYMOUS), without TLS (ws) and with it (wss): at an ECM in front of ejabberd's module, at ejabberd's own listener
(ejabberd_http_ws), and at nginx, which ends TLS and relays to that. Memory for each idle user is the slope between FEW and MANY of them;
processor time is that of ejabberd and what is in front of it, while BUSY users write to each other, each to one other, BYTES bytes, at a fixed
rate. ejabberd has no modules of its own."""

import contextlib
import tempfile
import urllib.request

from certificates import SUITES, certificate, of_ecm
from ejabberd import ASLEEP, Ejabberd, crowd, play
from harness import CLIENTS, NGINX_PEER, NGINX_PROCESSES, Benchmark, Nginx, ecm, time, wait_until
from load import grown, watch

FEW = 500
MANY = 9_000  # nginx needs two descriptors for each, and a process may have 20,000 here
BUSY = 1_000
BYTES = 200
RATE = 2_000
SECONDS = 10
SETTLED = 3  # seconds from the last login to the first message
# Looks at the ECM's metrics before its memory is measured. Each is garbage of some 60 KiB: so it has as much of that, whatever logins have left.
LOOKS = 600
SLOWLY = ["--pending", 128]  # what many logins at the same time need would stay with ejabberd
ECM, NGINX, DIRECTLY = "ECM and module", "nginx", "directly"
WS, WSS = "ws", "wss"

NGINX_WEB_CONFIG = NGINX_PROCESSES + """http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {peer} backlog=4096{rules};
    location /ws {{
      proxy_pass http://{echo};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_read_timeout 1h;
      proxy_send_timeout 1h;
    }}
  }}
}}
"""


@contextlib.contextmanager
def through_ecm(how, name):
    # By when each had to log in is forgotten when that moment comes.
    options = ["--Ecm:Clients:0:Framing", "web", "--Ecm:Proxy", "v2", "--Ecm:Limits:LoginTimeout", "5s", *(of_ecm(name) if how == WSS else [])]
    with Ejabberd(EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1") as server, ecm("--Ecm:Link:To", server.links, *options) as edge:
        yield CLIENTS, server, [edge]


@contextlib.contextmanager
def through_nginx(how, name):
    tls = f" ssl;\n    ssl_certificate {name}.crt;\n    ssl_certificate_key {name}.key;\n    ssl_conf_command Ciphersuites {SUITES}"
    with Ejabberd(EJABBERD_MODULES="none", EJABBERD_WEB=WS) as server, Nginx(
            tls if how == WSS else "", NGINX_WEB_CONFIG, server.web) as relay:
        yield NGINX_PEER, server, [relay]


@contextlib.contextmanager
def directly(how, _):
    with Ejabberd(EJABBERD_MODULES="none", EJABBERD_WEB=how) as server:
        yield server.web, server, []


WAYS = {ECM: through_ecm, NGINX: through_nginx, DIRECTLY: directly}


def web(how):
    # ejabberd's own listener loses, now and then, what comes right behind its handshake.
    return ["--web", how, "--open-after", "0.5", *(["--ca", "none"] if how == WSS else [])]


def idle(way, how, name):
    with WAYS[way](how, name) as (to, server, edges):
        server.wait_until_idle()
        # What is said goes through rings and buffers that are the same for any number of users; they are all touched before the first look.
        play("xmpp", to, FEW, server, *web(how), *SLOWLY, "--messages", 3_000, "--message-rate", RATE, "--message-bytes", 2_000)
        measured = [server, *edges]
        with crowd("xmpp", to, FEW, server, *web(how), *SLOWLY):
            few = settled(measured, FEW)
            with crowd("xmpp", to, MANY - FEW, server, *web(how), *SLOWLY):
                of_server, *of_edges = [(after - before) / (MANY - FEW) for before, after in zip(few, settled(measured, MANY))]
    for each in of_edges:
        benchmark.add(f"{how}, {way}: bytes for each idle user in front of ejabberd", each)
    benchmark.add(f"{how}, {way}: KiB for each idle user in ejabberd", of_server / 1024)


def settled(measured, users):
    """Memory, when sessions over a link sleep, and the ECM has given back what handshakes needed, which it does every five seconds."""
    wait_until(lambda: measured[-1].descriptors() >= users, f"{users} descriptors are open", patience=60)
    time.sleep(ASLEEP)
    for edge in measured:
        for _ in range(LOOKS if hasattr(edge, "admin") else 0):
            with urllib.request.urlopen(f"http://{edge.admin}/metrics", timeout=60) as metrics:
                metrics.read()
    return [each.own_memory() for each in measured]


def chat(way, how, name):
    messages = RATE * SECONDS
    with WAYS[way](how, name) as (to, server, edges):
        server.wait_until_idle()
        all_of_them = [server, *edges]
        figures = play("xmpp", to, BUSY, server, *web(how), *watch(all_of_them), "--messages", messages, "--message-rate", RATE,
                       "--message-bytes", BYTES, hold=SETTLED)

        def used(processes):
            return sum(grown(figures, process, "cpu_seconds", "after messages", "after hold") for process in processes) / messages * 1e6

        benchmark.add(f"{how}, {way}: CPU µs/message", used(all_of_them))
        if edges:
            benchmark.add(f"{how}, {way}: of that in front of ejabberd", used(edges))
        benchmark.add(f"{how}, {way}: p50 ms", figures["message_latency_us"]["p50"] / 1e3)
        benchmark.add(f"{how}, {way}: p99 ms", figures["message_latency_us"]["p99"] / 1e3)


def compare(how):
    def ratio(figure, beside):
        ours, theirs = (benchmark.values[f"{how}, {way}: {figure}"][-1] for way in (ECM, beside))
        benchmark.add(f"{how}: {figure}, {ECM} : {beside}", ours / theirs)

    ratio("bytes for each idle user in front of ejabberd", NGINX)
    for beside in NGINX, DIRECTLY:
        ratio("KiB for each idle user in ejabberd", beside)
        ratio("CPU µs/message", beside)
        ratio("p99 ms", beside)


named = (__doc__.replace("FEW", f"{FEW:,}").replace("MANY", f"{MANY:,}").replace("BUSY", f"{BUSY:,}").replace("BYTES", str(BYTES)))
benchmark = Benchmark("web", named, rounds=3)
with tempfile.TemporaryDirectory() as folder:
    made = certificate(folder)
    for number in benchmark.each_round():
        for how in WS, WSS:
            for way in WAYS if number % 2 else reversed(WAYS):
                idle(way, how, made)
                chat(way, how, made)
            compare(how)


def bytes_each(how):
    return benchmark.median(f"{how}, {ECM}: bytes for each idle user in front of ejabberd")


benchmark.finish([
    ("bytes for each idle user over ws in the ECM", bytes_each(WS), 128, True),
    ("the same over wss", bytes_each(WSS), 320, True),
])
