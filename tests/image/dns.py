#!/usr/bin/python3
"""A name server for the image check: echo.test is 127.0.0.1 and nothing else exists. dns.py ADDRESS"""

import socket
import struct
import sys

NAME = b"\4echo\4test\0"
A_RECORD, NO_SUCH_NAME = 1, 3


def answer(query):
    """RFC 1035, section 4: the question comes back; after it, for an A question about the name, one address."""
    end = query.index(b"\0", 12) + 1
    name, (kind, _) = query[12:end].lower(), struct.unpack_from(">HH", query, end)
    question = query[12 : end + 4]
    known = name == NAME
    records = b"\xc0\x0c" + struct.pack(">HHIH", A_RECORD, 1, 60, 4) + bytes([127, 0, 0, 1]) if (
        known and kind == A_RECORD) else b""
    flags = 0x8180 | (0 if known else NO_SUCH_NAME)
    return query[:2] + struct.pack(">HHHHH", flags, 1, 1 if records else 0, 0, 0) + question + records


server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    packet, client = server.recvfrom(512)
    server.sendto(answer(packet), client)
