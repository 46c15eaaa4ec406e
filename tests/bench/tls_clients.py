"""A client that shakes hands as fast as it can, each time on a new connection. Prints a JSON object with figures at the end.

`megaphone bench` keeps its connections, and resumes no sessions.
"""

import argparse
import json
import socket
import ssl
import time


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_3
    return made


def connect(to, made, session):
    plain = socket.create_connection(to, timeout=30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made.wrap_socket(plain, session=session)


def exchange(client):
    client.sendall(b"x" * 200)
    got = 0
    while got < 200:
        got += len(client.recv(4096))


def handshake(to, seconds, resume):
    made = context()
    session, count, resumed, end = None, 0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        client = connect(to, made, session)
        resumed += client.session_reused
        if resume:
            exchange(client)  # the ticket comes before the answer
            session = client.session
        client.close()
        count += 1
    print(json.dumps({"handshakes": count, "resumed": resumed}))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--to", required=True)
parser.add_argument("--seconds", type=float, default=3)
parser.add_argument("--resume", action="store_true")
args = parser.parse_args()
host, port = args.to.split(":")
handshake((host, int(port)), args.seconds, args.resume)
