"""A user of an XMPP server who does as it is told."""

import re
import socket
import sys


class User:
    """A user who logs in by hand (SASL ANONYMOUS) and then does as it is told."""

    def __init__(self, to):
        host, port = to.split(":")
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
