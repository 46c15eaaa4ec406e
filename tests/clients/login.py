#!/usr/bin/python3
"""Juliet logs in with one of four clients, with TLS from the first byte on, and what is said until she is in is written down.

    login.py go-sendxmpp|nbxmpp|slixmpp|xmppjs ADDRESS:PORT PASSWORD AUTHORITY [LOGINS]

AUTHORITY is a PEM file: who may have issued the server's certificate. Logs in LOGINS times (default 1), one after the other, with what the client
has kept from the login before, a token for instance. Prints a transcript in which nothing depends on ids, nonces, keys or time, so that
two transcripts can be compared: `>' is the client, `<' the server, and what SASL says is decoded. Behind each login is whether she is `in' or was
`refused', which is the last.

Needs Debian's go-sendxmpp, python3-slixmpp, python3-nbxmpp, or Node.js and xmppjs/node_modules. Bookworm's go-sendxmpp shows what it receives alone.
"""

import asyncio
import base64
import json
import logging
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PATIENCE = 60  # seconds for a login
CLIENT, SERVER = ">", "<"

# Who is in has been told so by one of these; what comes behind it comes when it comes.
IS_IN = re.compile(r"(.*(?:<jid>.*</iq>|<bound\b.*</success>)).*")
# What differs from one run to the next.
VARYING = re.compile(r"""\b(id|token|expiry|stamp)=(?:'[^']*'|"[^"]*")""")
RESOURCE = re.compile(r"(juliet@localhost/|\bgo-sendxmpp\.)[^<'\"]+")
SASL = re.compile(r"(<(?:auth|initial-response|challenge|response|success|additional-data)\b[^<>]*>)([A-Za-z0-9+/=]+)(?=</)")


def decoded(text):
    """What a message of SASL says, without what varies. Of SCRAM (RFC 5802) that is nonces, salt, proofs, and what the login is bound to."""
    message = base64.b64decode(text)
    try:
        parts = message.decode("ascii").split(",")
    except UnicodeDecodeError:
        parts = None
    if parts is None or "\0" in message.decode("latin-1"):
        # Of a token (HT-SHA-256-*) or of PLAIN.
        user, secret = re.fullmatch(rb"(?:([a-z]*)\0)?(.*)", message, re.DOTALL).groups()
        return f"[{(user or b'').decode()} {len(secret)} bytes]"

    def shown(part):
        name, _, value = part.partition("=")
        if name == "c":
            header, binding = re.match(rb"([^,]*,[^,]*,)(.*)", base64.b64decode(value), re.DOTALL).groups()
            return f"c=({header.decode()} {len(binding)} bytes)"
        return f"{name}=#" if name in ("r", "s", "v") or (name == "p" and len(value) > 24) else part

    return "[" + ",".join(shown(part) for part in parts) + "]"


def transcript(said):
    """What was said, (CLIENT or SERVER, text) each in order, until she was in."""
    turns = []
    for who, text in said:
        if turns and turns[-1][0] == who:
            turns[-1][1] += text
        else:
            turns.append([who, text])
    lines = []
    for who, text in turns:
        text = re.sub(r"\s*\n\s*", "", text)
        text = SASL.sub(lambda found: found[1] + decoded(found[2]), VARYING.sub(r"\1='#'", RESOURCE.sub(r"\1#", text)))
        is_in = who == SERVER and IS_IN.fullmatch(text)
        lines += [f"{who} {line}" for line in (is_in[1] if is_in else text).replace("><", ">\n<").split("\n") if line]
        if is_in:
            break
    return lines


def host_and_port(address):
    host, port = address.split(":")
    return host, int(port)


async def with_slixmpp(address, password, authority, _home):
    logging.disable(logging.CRITICAL)
    import slixmpp

    said = []

    class Juliet(slixmpp.ClientXMPP):
        def data_received(self, data):
            said.append((SERVER, data.decode()))
            super().data_received(data)

        def send_raw(self, data):
            said.append((CLIENT, data if isinstance(data, str) else data.decode()))
            super().send_raw(data)

    juliet = Juliet("juliet@localhost", password)
    juliet.ca_certs = authority
    over = asyncio.get_running_loop().create_future()

    def ends(is_in):
        return lambda _: over.done() or over.set_result(is_in)

    for event, is_in in (("session_start", True), ("failed_all_auth", False), ("disconnected", False), ("connection_failed", False)):
        juliet.add_event_handler(event, ends(is_in))
    if hasattr(juliet, "enable_direct_tls"):
        juliet.enable_starttls = False
        juliet.connect(*host_and_port(address))
    else:
        juliet.connect(host_and_port(address), use_ssl=True, disable_starttls=True)
    try:
        return said, await asyncio.wait_for(over, PATIENCE)
    finally:
        juliet.abort()


async def with_nbxmpp(address, password, authority, _home):
    import gi

    gi.require_version("Gio", "2.0")
    from gi.repository import Gio, GLib
    from nbxmpp.client import Client
    from nbxmpp.const import ConnectionProtocol, ConnectionType

    said, loop, is_in = [], GLib.MainLoop(), []

    class Written(logging.Handler):
        """The library logs what it sends and receives."""

        def emit(self, record):
            if "::::: DATA" in record.msg:
                direction, text = record.args
                said.append((CLIENT if direction == "SENT" else SERVER, str(text)))

    logging.getLogger("nbxmpp").addHandler(Written())
    logging.getLogger("nbxmpp").setLevel(logging.INFO)
    juliet = Client(log_context="juliet")
    juliet.set_domain("localhost")
    juliet.set_username("juliet")
    juliet.set_password(password)
    juliet.set_resource("login")
    juliet.set_accepted_certificates([Gio.TlsCertificate.new_from_file(authority)])
    # It takes no authorities but the system's.
    juliet.set_ignore_tls_errors(True)
    juliet.set_connection_types([ConnectionType.DIRECT_TLS])
    juliet.set_protocols([ConnectionProtocol.TCP])
    juliet.set_custom_host(address, ConnectionProtocol.TCP, ConnectionType.DIRECT_TLS)

    def connected(*_):
        is_in.append(True)
        juliet.disconnect()

    juliet.subscribe("connected", connected)
    juliet.subscribe("disconnected", lambda *_: loop.quit())
    juliet.subscribe("connection-failed", lambda *_: loop.quit())
    GLib.timeout_add_seconds(PATIENCE, loop.quit)
    juliet.connect()
    loop.run()
    return said, bool(is_in)


async def with_go_sendxmpp(address, password, authority, home):
    # It keeps tokens in its home.
    environment = {**os.environ, "SSL_CERT_FILE": authority, "HOME": home}
    done = subprocess.run(
        ["go-sendxmpp", "--debug", "--tls", "--tls-version", "12", "-u", "juliet@localhost", "-p", password, "-j", address, "juliet@localhost"],
        input="a word to myself\n", env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False)
    said, who = [], SERVER
    # It may have a warning first.
    first = re.search(r"^SEND:? ", done.stdout, re.MULTILINE)
    for line in done.stdout[first.start() if first else 0:].split("\n"):
        if begins := re.match(r"(SEND|RECV):? ", line):
            who = CLIENT if begins[1] == "SEND" else SERVER
            line = line[begins.end():]
        # What it notes itself has the time in front, and may name the address.
        said.append((who, re.sub(r"\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d ", "", line).replace(address, "#")))
    return said, done.returncode == 0


async def with_xmppjs(address, password, authority, home):
    script = pathlib.Path(__file__).parent / "xmppjs/login.mjs"
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": authority}
    done = subprocess.run(
        ["node", script, f"xmpps://localhost:{host_and_port(address)[1]}", password, os.path.join(home, "token")],
        env=environment, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode == 0


CLIENTS = {"go-sendxmpp": with_go_sendxmpp, "nbxmpp": with_nbxmpp, "slixmpp": with_slixmpp, "xmppjs": with_xmppjs}


def main():
    client, address, password, authority = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as home:
        # Who runs it as root may have a client that gives up root's rights before it reads this.
        os.chmod(home, 0o755)
        authority = shutil.copy(authority, home)
        for _ in range(int(sys.argv[5]) if len(sys.argv) > 5 else 1):
            said, is_in = asyncio.run(CLIENTS[client](address, password, authority, home))
            print("\n".join(transcript(said)))
            print("in" if is_in else "refused", flush=True)
            if not is_in:
                break


if __name__ == "__main__":
    main()
