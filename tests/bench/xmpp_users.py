#!/usr/bin/python3
"""Logs many users in to an XMPP server and stays idle: SASL ANONYMOUS, a resource, a roster, presence; plain TCP.

Prints READY when all are in. Ends, and all its connections with it, when standard input does. Exit status 1, with the
reason, when a connection is lost before that.
"""

import argparse
import resource
import selectors
import socket
import struct
import sys
import time

STREAM = (b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
          b"to='localhost' version='1.0'>")

# What is said, and what the answer to it ends with, in turn.
LOGIN = [
    (STREAM, b"</stream:features>"),
    (b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>",
     b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
    (STREAM, b"</stream:features>"),
    (b"<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", b"</bind></iq>"),
    (b"<iq type='get' id='2'><query xmlns='jabber:iq:roster'/></iq>", b"/></iq>"),
    (b"<presence/>", b"/>"),  # one's own presence comes back
]


class User:
    """One connection, from the first byte to idleness."""

    def __init__(self, number, options):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Ends with a reset: thousands of ports that wait for two minutes would be in the way of the next round.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.bind((f"127.89.{options.group}.{1 + number % 250}", 0))
        self.socket.connect(options.to)
        self.steps = iter(LOGIN)
        self.idle = False
        self.step()

    def fileno(self):
        return self.socket.fileno()

    def step(self):
        """Says the next thing, if there is one."""
        said, self.awaited = next(self.steps, (None, None))
        self.idle = said is None
        self.received = b""
        if said:
            self.socket.sendall(said)

    def read(self):
        received = self.socket.recv(65536)
        if not received:
            sys.exit(f"a connection was closed after: {self.received.decode()}")
        if self.idle:
            return
        self.received += received
        if b"<failure" in self.received or b"<stream:error" in self.received:
            sys.exit(f"refused: {self.received.decode()}")
        if self.received.endswith(self.awaited):
            self.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, help="ADDRESS:PORT")
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--group", type=int, default=0, help="they connect from 127.89.GROUP.1 to .250; default 0")
    parser.add_argument("--at-once", type=int, default=32, help="how many may be logging in at a time; default 32")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for all to be logged in; default 60")
    options = parser.parse_args()
    host, port = options.to.split(":")
    options.to = (host, int(port))

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    end = time.monotonic() + options.timeout
    users = []
    busy = 0
    ready = False
    with selectors.EpollSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            while busy < options.at_once and len(users) < options.users:
                users.append(User(len(users), options))
                selector.register(users[-1], selectors.EVENT_READ)
                busy += 1
            if busy == 0 and not ready:
                ready = True
                print("READY", flush=True)
            if not ready and time.monotonic() > end:
                sys.exit(f"{len(users) - busy} of {options.users} are logged in after {options.timeout} s")
            for key, _ in selector.select(None if ready else 1):
                if key.fileobj is sys.stdin:
                    return
                was_idle = key.fileobj.idle
                key.fileobj.read()
                busy -= key.fileobj.idle and not was_idle


main()
