#!/usr/bin/python3
"""A server that only knows the original format, for an ECM to connect its links to: it answers with what it hears.

It says no hello and sends no empty packets: what is empty it takes note of and does not answer. Prints "listening
HOST:PORT", and when its standard input ends one JSON object with what it has seen.
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading

from original_format import packet, read_packet, send_cut


class Hub:
    def __init__(self, cut):
        self.cut = cut
        self.lock = threading.Lock()
        self.seen = {"links": 0, "packets": 0, "bytes": 0, "ids": set(), "ended": 0, "control": 0, "errors": []}

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while (one := read_packet(connection)) is not None:
                identifier, content = one
                with self.lock:
                    self.seen["packets"] += 1
                    self.seen["bytes"] += len(content)
                    self.seen["ids"].add(identifier)
                    self.seen["control"] += identifier == 0
                    self.seen["ended"] += not content
                if content and identifier:
                    send_cut(connection, packet(identifier, content), self.cut)
        except (ValueError, EOFError, OSError) as error:
            with self.lock:
                self.seen["errors"].append(str(error))
        finally:
            connection.close()

    def accept(self, listener):
        while True:
            connection, _ = listener.accept()
            with self.lock:
                self.seen["links"] += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def report(self):
        with self.lock:
            return json.dumps({**self.seen, "ids": len(self.seen["ids"])})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT")
    parser.add_argument("--cut", type=int, default=0, help="bytes per write; 0: a packet per write")
    parser.add_argument("--timeout", type=int, default=120, help="seconds to live, at most")
    args = parser.parse_args()
    signal.alarm(args.timeout)

    host, port = args.listen.rsplit(":", 1)
    listener = socket.create_server((host, int(port)), backlog=64)
    print("listening %s:%d" % listener.getsockname(), flush=True)
    hub = Hub(args.cut)
    threading.Thread(target=hub.accept, args=(listener,), daemon=True).start()
    sys.stdin.read()
    print(hub.report(), flush=True)
    # Straight out: the threads wait for links that nobody closes.
    os._exit(0)


if __name__ == "__main__":
    main()
