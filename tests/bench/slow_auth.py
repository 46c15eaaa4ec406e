#!/usr/bin/python3
"""An external authentication for ejabberd that takes its time, as a directory or a database does: 50 ms for each password. Everybody has an
account, and every password is right."""

import struct
import sys
import time

TAKES = 0.05  # seconds

while head := sys.stdin.buffer.read(2):
    asked = sys.stdin.buffer.read(struct.unpack(">H", head)[0])
    if asked.startswith(b"auth:"):
        time.sleep(TAKES)
    sys.stdout.buffer.write(struct.pack(">HH", 2, 1))
    sys.stdout.buffer.flush()
