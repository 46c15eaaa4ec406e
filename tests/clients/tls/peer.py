#!/usr/bin/env python3
"""Python's TLS as a client: peer.py PORT AUTHORITY HOST VERSION SUITE

Connects to 127.0.0.1 twice, the second time with the session of the first. Each time it checks the certificate, sends 1 MB in pieces of
odd sizes, reads all of it back, and ends in order: close_notify is sent and must come. Prints a line for each connection. SUITE is
OpenSSL's name; with TLS 1.3, whose suites Python cannot choose, it is only compared.
"""
import select
import socket
import ssl
import sys

BYTES = bytes((i * i >> 7) & 0xFF for i in range(1 << 20))


def pieces():
    at, piece = 0, 1
    while at < len(BYTES):
        yield BYTES[at : at + piece]
        at, piece = at + piece, piece * 7 % 70_001 + 1


def echo(tls):
    """Sends and receives at the same time, in one thread: two threads must not use one connection of Python's before version 3.13."""
    to_send, received = list(pieces()), bytearray()
    tls.setblocking(False)
    while len(received) < len(BYTES):
        select.select([tls], [tls] if to_send else [], [], 30)
        try:
            while to_send:
                sent = tls.send(to_send[0])
                to_send[0] = to_send[0][sent:]
                if not to_send[0]:
                    to_send.pop(0)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            while some := tls.recv(65536):
                received += some
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
    tls.setblocking(True)
    return received


def talk(context, port, host, session):
    with socket.create_connection(("127.0.0.1", port)) as plain:
        tls = context.wrap_socket(plain, server_hostname=host, session=session, suppress_ragged_eofs=False)
        received = echo(tls)
        how = "resumed" if tls.session_reused else "full"
        print(how, tls.version(), tls.cipher()[0], "echoed" if received == BYTES else "CHANGED", end=" ", flush=True)
        session = tls.session
        tls.unwrap()
        print("ended", flush=True)
        return session


port, authority, host, version, suite = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
context.set_alpn_protocols(["xmpp-client"])
context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3 if version == "1.3" else ssl.TLSVersion.TLSv1_2
if version == "1.2":
    context.set_ciphers(suite)
talk(context, int(port), host, talk(context, int(port), host, None))
