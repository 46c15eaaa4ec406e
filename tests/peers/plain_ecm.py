#!/usr/bin/python3
"""An ECM that only knows the original format, against a hub with an echo behind it.

Opens sessions, says random things on all of them in turn, and checks that each comes back on its own id, in order. It says
no hello and sends no empty packets. Prints one JSON object; exit status 0 when everything came back.
"""

import argparse
import json
import random
import signal
import socket
import sys
import threading

from original_format import packet, read_packet, send_cut


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="HOST:PORT of the hub")
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--packets", type=int, default=20, help="per session")
    parser.add_argument("--size", type=int, default=200, help="bytes of content, at most")
    parser.add_argument("--cut", type=int, default=0, help="bytes per write; 0: a packet per write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=60, help="seconds for all of it")
    args = parser.parse_args()
    signal.alarm(args.timeout)

    choose = random.Random(args.seed)
    # Small, large and largest ids; never 0.
    ids = [2 ** 64 - 1] + [1 + choose.getrandbits(63) for _ in range(args.sessions - 1)]
    said = {identifier: bytearray() for identifier in ids}
    heard = {identifier: bytearray() for identifier in ids}
    stream = []
    for _ in range(args.packets):
        for identifier in choose.sample(ids, len(ids)):
            content = choose.randbytes(choose.randint(1, args.size))
            said[identifier] += content
            stream.append(packet(identifier, content))

    host, port = args.address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(args.timeout)

    def speak():
        for one in stream:
            send_cut(connection, one, args.cut)

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    expected = sum(len(text) for text in said.values())
    received = strange = 0
    while received < expected:
        one = read_packet(connection)
        if one is None:
            break
        identifier, content = one
        if identifier not in heard or not content:
            strange += 1
            continue
        heard[identifier] += content
        received += len(content)
    speaker.join()
    connection.close()

    same = sum(said[identifier] == heard[identifier] for identifier in ids)
    print(json.dumps({"sessions": len(ids), "same": same, "bytes": received, "strange": strange}))
    return 0 if same == len(ids) and strange == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
