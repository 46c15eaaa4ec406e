"""Clients that speak TLS, which `megaphone bench` does not, to one address: many that stay (idle), many that come and go (handshake),
many that talk (talk).

Prints READY when they are there, or a JSON object with figures at the end. Idle ones stay
until a signal ends them, those that talked until standard input ends.
"""

import argparse
import json
import selectors
import signal
import socket
import ssl
import sys
import time


def context(args):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_3
    if args.ciphers:
        made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_2
        made.set_ciphers(args.ciphers)
    return made


def connect(args, made, session=None):
    plain = socket.create_connection(args.to, timeout=30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made.wrap_socket(plain, session=session)


def idle(args):
    made = context(args)
    clients = [connect(args, made) for _ in range(args.connections)]
    print("READY", flush=True)
    while clients:
        signal.pause()


def exchange(client):
    client.sendall(b"x" * 200)
    got = 0
    while got < 200:
        got += len(client.recv(4096))


def handshake(args):
    made = context(args)
    session, count, resumed, end = None, 0, 0, time.monotonic() + args.seconds
    while time.monotonic() < end:
        client = connect(args, made, session)
        resumed += client.session_reused
        if args.resume:
            exchange(client)  # the ticket comes before the answer
            session = client.session
        client.close()
        count += 1
    print(json.dumps({"handshakes": count, "resumed": resumed}))


def talk(args):
    """Each client says 200 bytes and hears them back, and then again: at once, or at a rate when its turn comes."""
    made = context(args)
    clients = [connect(args, made) for _ in range(args.connections)]
    selector = selectors.DefaultSelector()
    for client in clients:
        exchange(client)
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ)
    unheard = dict.fromkeys(clients, 0)
    print("READY", flush=True)
    began, sent, heard = time.monotonic(), 0, 0
    if not args.rate:
        for client in clients:
            client.send(b"y" * 200)
    while (now := time.monotonic()) < began + args.seconds:
        while args.rate and sent < (now - began) * args.rate:
            clients[sent % len(clients)].send(b"y" * 200)
            sent += 1
        for key, _ in selector.select(0.0005):
            client = key.fileobj
            try:
                unheard[client] += len(client.recv(16384))
            except ssl.SSLWantReadError:
                continue
            while unheard[client] >= 200:
                unheard[client] -= 200
                heard += 1
                if not args.rate:
                    client.send(b"y" * 200)
    print(json.dumps({"heard": heard, "seconds": time.monotonic() - began}), flush=True)
    sys.stdin.read()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("what", choices=["idle", "handshake", "talk"])
parser.add_argument("--to", required=True)
parser.add_argument("--connections", type=int, default=1)
parser.add_argument("--seconds", type=float, default=3)
parser.add_argument("--rate", type=float, default=0, help="messages a second, all together; 0: each as soon as its last one is back")
parser.add_argument("--resume", action="store_true")
parser.add_argument("--ciphers", help="TLS 1.2 with these, instead of TLS 1.3")
args = parser.parse_args()
host, port = args.to.split(":")
args.to = (host, int(port))
{"idle": idle, "handshake": handshake, "talk": talk}[args.what](args)
