"""An external connection manager in a few lines, for trying out what takes links with stanza framing (link protocol, sections
1 to 5). It plays the clients as well: each is a session that logs in over the link. No sockets per client, so many fit.

    link = Link(port)                    # says hello, awaits the welcome; hello=None for the plain protocol
    alice = link.client("alice", "secret")
    alice.login(); alice.send("<message .../>"); alice.wait_for("<body>")
"""
import base64
import hashlib
import hmac
import itertools
import json
import os
import re
import socket
import time


def packet(number, content):
    """One packet; content is bytes."""
    return b"%010d|%020d|%s" % (32 + len(content), number, content)


class Link:
    """One link, and the clients on it. For one thread: whoever waits for something serves all clients meanwhile."""

    def __init__(self, port, host="127.0.0.1", hello=True, secret=None, framing="stanza", timeout=10):
        self.socket = socket.create_connection((host, port))
        self.socket.settimeout(timeout)
        self.timeout = timeout
        self.buffer = bytearray()
        self.control, self.clients, self.closed = [], {}, False
        self.auto_pong = True
        self.numbers = itertools.count(1)
        self.welcome = None
        if hello:
            members = {"op": "hello", "version": 1, "name": "stanza_ecm", "framing": framing, "maxPacket": 1048576}
            if secret is not None:
                members["secret"] = secret
            self.say(**members)
            self.wait(lambda: self.control or self.closed)
            self.welcome = self.control.pop(0) if self.control else None

    def write(self, data):
        self.socket.sendall(data)

    def say(self, **members):
        """Sends a control packet."""
        self.write(packet(0, json.dumps(members).encode()))

    def client(self, name=None, password=None, number=None, server="localhost", mechanism=None):
        number = next(self.numbers) if number is None else number
        client = self.clients[number] = Client(self, number, name, password, server, mechanism)
        return client

    def serve(self, timeout):
        """Takes what has come, waiting for something at most so long."""
        self.socket.settimeout(timeout)
        try:
            data = self.socket.recv(1 << 20)
        except (TimeoutError, socket.timeout, BlockingIOError):
            return False
        except ConnectionError:
            data = b""
        finally:
            self.socket.settimeout(self.timeout)
        if not data:
            self.closed = True
            return False
        self.buffer += data
        at = 0
        while len(self.buffer) - at >= 32:
            length, number = int(self.buffer[at:at + 10]), int(self.buffer[at + 11:at + 31])
            if len(self.buffer) - at < length:
                break
            self.take(number, bytes(self.buffer[at + 32:at + length]))
            at += length
        del self.buffer[:at]
        return True

    def take(self, number, content):
        if number == 0:
            message = json.loads(content)
            if message["op"] == "ping" and self.auto_pong:
                self.say(op="pong", token=message["token"])
            else:
                self.control.append(message)
        elif not content:
            self.clients[number].finished = True
        else:
            self.clients[number].received += content

    def wait(self, condition, timeout=None):
        """Serves until the condition holds. Raises TimeoutError when it does not within the time."""
        end = time.monotonic() + (timeout or self.timeout)
        while not condition():
            left = end - time.monotonic()
            if left <= 0 or (self.closed and not condition()):
                raise TimeoutError("closed" if self.closed else "waited in vain")
            self.serve(min(left, 1))

    def close(self):
        self.socket.close()


class Client:
    """One client of an ECM: a session on a link."""

    def __init__(self, link, number, name, password, server, mechanism):
        self.link, self.number, self.name, self.password = link, number, name, password
        self.server = server
        self.mechanism = mechanism or ("PLAIN" if password else "ANONYMOUS")
        self.received, self.finished, self.jid = bytearray(), False, None

    def send(self, stanza):
        self.link.write(packet(self.number, stanza.encode() if isinstance(stanza, str) else stanza))

    def wait_for(self, pattern, timeout=None):
        """Waits for what matches; takes it and what came before it. Gives the match."""
        pattern = re.compile(pattern.encode(), re.S)
        found = None

        def is_there():
            nonlocal found
            found = pattern.search(self.received)
            return found or self.finished

        try:
            self.link.wait(is_there, timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {pattern.pattern!r} in {self.received!r}") from None
        if not found:
            raise EOFError(f"ended without {pattern.pattern!r}: {self.received!r}")
        self.received = self.received[found.end():]
        return found

    def header(self):
        self.send(f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
                  f"to='{self.server}' version='1.0'>")

    def begin(self):
        """Header, features, authentication, header, features."""
        self.header()
        self.wait_for("</stream:features>")
        getattr(self, "auth_" + self.mechanism.lower().replace("-", "_"))()
        self.wait_for("<success")
        self.header()
        self.wait_for("</stream:features>")

    def login(self, resource=None, presence=True):
        self.begin()
        self.bind(resource)
        if presence:
            self.send("<presence/>")
            self.wait_for("<presence")

    def bind(self, resource=None):
        chosen = f"<resource>{resource}</resource>" if resource else ""
        self.send(f"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{chosen}</bind></iq>")
        self.jid = self.wait_for("<jid>([^<]*)</jid>.*?</iq>").group(1).decode()

    def auth(self, mechanism, text):
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{text}</auth>")

    def auth_anonymous(self):
        self.auth("ANONYMOUS", "")

    def auth_plain(self):
        self.auth("PLAIN", base64.b64encode(f"\0{self.name}\0{self.password}".encode()).decode())

    def auth_scram_sha_1(self):
        nonce = base64.b64encode(os.urandom(18)).decode()
        first = f"n={self.name},r={nonce}"
        self.auth("SCRAM-SHA-1", base64.b64encode(("n,," + first).encode()).decode())
        challenge = base64.b64decode(self.wait_for("<challenge[^>]*>([^<]*)<").group(1)).decode()
        parts = dict(part.split("=", 1) for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha1", self.password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
        key = hmac.new(salted, b"Client Key", "sha1").digest()
        final = f"c=biws,r={parts['r']}"
        signed = f"{first},{challenge},{final}".encode()
        signature = hmac.new(hashlib.sha1(key).digest(), signed, "sha1").digest()
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
        self.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                  f"{base64.b64encode(f'{final},p={proof}'.encode()).decode()}</response>")

    def fin(self):
        """Says nothing more."""
        self.send(b"")
