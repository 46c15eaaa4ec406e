"""Both ends of a stream: one TLS client that sends as much as it is told, as fast as it can, and the server that reads it all. Prints "listening",
waits for a line with the address to connect to, and prints a JSON object with the seconds from the first byte to the last.

`megaphone bench` has nothing that only sends.
"""

import argparse
import json
import socket
import ssl
import sys
import threading
import time

AT_A_TIME = 256 << 10
HEADER = 32
LENGTH = 10

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--server", required=True)
parser.add_argument("--bytes", type=int, required=True)
parser.add_argument("--link", action="store_true", help="what connects to the server is an ECM's link: each packet has a header of 32 bytes")
args = parser.parse_args()


def address(text):
    host, port = text.split(":")
    return host, int(port)


def read_all(listener):
    connection, _ = listener.accept()
    buffer = memoryview(bytearray(AT_A_TIME))
    left = args.bytes
    held = at = 0  # bytes in the buffer; where the next header begins, behind its end perhaps
    while left > 0:
        received = connection.recv_into(buffer[held:]) or sys.exit("the stream ended early")
        if not args.link:
            left -= received
            continue
        held += received
        while at + HEADER <= held:
            length = int(bytes(buffer[at:at + LENGTH]))
            left -= length - HEADER
            at += length
        rest = max(0, held - at)
        buffer[:rest] = bytes(buffer[held - rest:held])
        at, held = max(0, at - held), rest


with socket.create_server(address(args.server)) as listener:
    reader = threading.Thread(target=read_all, args=[listener])
    reader.start()
    print("listening", flush=True)
    to = address(sys.stdin.readline())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(to)) as client:
        began = time.monotonic()
        piece = bytes(AT_A_TIME)
        for _ in range(args.bytes // AT_A_TIME):
            client.sendall(piece)
        reader.join()
        print(json.dumps({"seconds": time.monotonic() - began}))
