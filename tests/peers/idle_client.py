#!/usr/bin/python3
"""A client that connects, says one line if it is given one, and then holds the connection until it is ended.

Prints "connected LOCAL-ADDRESS". For namespaces that a test's own process is not in.
"""

import signal
import socket
import sys

signal.alarm(120)
host, port = sys.argv[1].rsplit(":", 1)
connection = socket.create_connection((host.strip("[]"), int(port)), timeout=30)
if len(sys.argv) > 2:
    connection.sendall(sys.argv[2].encode())
print("connected %s:%d" % connection.getsockname()[:2], flush=True)
sys.stdin.read()
