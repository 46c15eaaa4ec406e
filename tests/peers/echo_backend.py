#!/usr/bin/python3
"""A TCP server that answers each connection with what it hears, in a process of its own so that it can be killed.

Prints "listening HOST:PORT".
"""

import argparse
import asyncio
import socket


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT")
    parser.add_argument("--timeout", type=int, default=120, help="seconds to live, at most")
    args = parser.parse_args()
    host, port = args.listen.rsplit(":", 1)
    listener = socket.create_server((host, int(port)), backlog=1024)
    server = await asyncio.start_server(echo, sock=listener)
    print("listening %s:%d" % listener.getsockname(), flush=True)
    await asyncio.sleep(args.timeout)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
