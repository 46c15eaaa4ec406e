"""Both ends of a stream: one TLS client that sends as much as it is told, as fast as it can, and the server that reads it all. Prints a JSON object
with the seconds from the first byte to the last.

`megaphone bench` has nothing that only sends.
"""

import argparse
import json
import socket
import ssl
import threading
import time

AT_A_TIME = 256 << 10

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--to", required=True)
parser.add_argument("--server", required=True)
parser.add_argument("--bytes", type=int, required=True)
args = parser.parse_args()


def address(text):
    host, port = text.split(":")
    return host, int(port)


def read_all(listener):
    connection, _ = listener.accept()
    buffer = bytearray(AT_A_TIME)
    left = args.bytes
    while left > 0:
        left -= connection.recv_into(buffer) or exit("the stream ended early")


with socket.create_server(address(args.server)) as listener:
    reader = threading.Thread(target=read_all, args=[listener])
    reader.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(address(args.to))) as client:
        began = time.monotonic()
        piece = bytes(AT_A_TIME)
        for _ in range(args.bytes // AT_A_TIME):
            client.sendall(piece)
        reader.join()
        print(json.dumps({"seconds": time.monotonic() - began}))
