"""A user of an XMPP server who does as it is told."""

import base64
import re
import socket
import ssl
import sys


class User:
    """A user who logs in by hand and then does as it is told."""

    def __init__(self, to, account=None, tls=False):
        """`account`: its name and password, for SASL PLAIN; without it is SASL ANONYMOUS. `tls`: with STARTTLS."""
        host, port = to.split(":")
        self.connection = socket.create_connection((host, int(port)), 30)
        self.connection.settimeout(60)
        self.heard = b""
        self.open()
        if tls:
            self.say(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            self.expect(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.connection = context.wrap_socket(self.connection)
            self.open()
        method, first = ("PLAIN", base64.b64encode("\0{}\0{}".format(*account).encode()).decode()) if account else ("ANONYMOUS", "")
        self.say(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{method}'>{first}</auth>".encode())
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
