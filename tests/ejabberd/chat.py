#!/usr/bin/python3
"""Two users chat through an XMPP server: they log in, send COUNT messages to each other, and check what arrived.

Prints one JSON object. Exit status 0: everything arrived, in order, once. Needs Debian's python3-slixmpp.
"""

import argparse
import asyncio
import json
import logging
import sys
import time

logging.disable(logging.CRITICAL)  # before the import, which warns about missing modules
import slixmpp


class LoopWithSources(asyncio.SelectorEventLoop):
    """An event loop that connects each client from the address that the client names."""

    async def create_connection(self, protocol_factory, host=None, port=None, **options):
        client = protocol_factory()  # slixmpp's clients are their own protocols
        if client.source:
            options["local_addr"] = (client.source, 0)
        return await super().create_connection(lambda: client, host, port, **options)


class Person(slixmpp.ClientXMPP):
    """One of the two users: records the numbers of the messages to it, in order of arrival."""

    def __init__(self, jid, password, source, args):
        super().__init__(jid, password)
        self.source = source
        self.args = args
        self.received = []
        self.online = self.loop.create_future()
        self.complete = self.loop.create_future()
        self.lost = self.loop.create_future()
        self.tls = None
        if args.ca:
            self.ca_certs = args.ca
        self.add_event_handler("session_start", self.on_session_start)
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("failed_auth", lambda _: self.give_up("the server refused the password"))
        self.add_event_handler("connection_failed", lambda error: self.give_up(f"cannot connect: {error}"))
        self.add_event_handler("ssl_invalid_chain", lambda error: self.give_up(f"certificate refused: {error}"))
        self.add_event_handler("disconnected", lambda reason: self.give_up(f"disconnected: {reason}"))

    def log_in(self):
        required = self.args.starttls == "required"
        self.connect((self.args.host, self.args.port), force_starttls=required, disable_starttls=not required,
                     use_ssl=self.args.starttls == "direct")

    def on_session_start(self, _):
        ssl = self.transport.get_extra_info("ssl_object")
        self.tls = ssl.version() if ssl else None
        self.send_presence()
        if not self.online.done():
            self.online.set_result(True)

    def on_message(self, message):
        # Not "type in (chat)": an error that is returned is not a message that arrived.
        if message["type"] != "chat":
            return
        number = message["body"].split(" ", 1)[0]
        self.received.append(int(number))
        if len(self.received) >= self.args.count and not self.complete.done():
            self.complete.set_result(True)

    def give_up(self, reason):
        if not self.lost.done():
            self.lost.set_result(f"{self.requested_jid}: {reason}")

    def say(self, number, other):
        text = f"{number} of {self.args.count}: hello {other.boundjid.user}, this is {self.boundjid.user}"
        self.send_message(mto=other.boundjid.full, mbody=text.ljust(self.args.size, "."), mtype="chat")
        if number <= self.args.show:
            print(f"{self.boundjid.user} → {other.boundjid.user}: {text}", file=sys.stderr)


def verdict(sender, receiver, count):
    """The result for the messages from one to the other."""
    got = receiver.received
    return {
        "from": sender.requested_jid.full,
        "to": receiver.requested_jid.full,
        "received": len(got),
        "lost": count - len(set(got)),
        "doubled": len(got) - len(set(got)),
        "in_order": got == sorted(got),
    }


async def first_of(people, awaited):
    """Waits for all awaitables, or raises RuntimeError when a user is disconnected."""
    lost = [person.lost for person in people]
    everything = asyncio.gather(*awaited)
    done, _ = await asyncio.wait([everything, *lost], return_when=asyncio.FIRST_COMPLETED)
    if everything not in done:
        everything.cancel()
        raise RuntimeError("; ".join(future.result() for future in lost if future.done()))


async def converse(people, args, result):
    """Logs both in and lets them chat; fills in the result."""
    one, other = people
    began = time.monotonic()
    for person in people:
        person.log_in()
    await first_of(people, [person.online for person in people])
    result["login_seconds"] = round(time.monotonic() - began, 3)
    result["tls"] = [person.tls for person in people]

    began = time.monotonic()
    for number in range(1, args.count + 1):
        one.say(number, other)
        other.say(number, one)
        await asyncio.sleep(args.pause)
    await first_of(people, [person.complete for person in people])
    # Duplicates arrive after what was awaited.
    await asyncio.sleep(0.2)
    result["exchange_seconds"] = round(time.monotonic() - began - 0.2, 3)


async def run(args):
    people = [Person(*who, args) for who in zip(args.jid, args.password, args.source)]
    result = {"ok": False, "count": args.count, "starttls": args.starttls, "error": None}
    try:
        await asyncio.wait_for(converse(people, args, result), args.timeout)
    except asyncio.TimeoutError:
        result["error"] = f"not done after {args.timeout} s"
    except RuntimeError as error:
        result["error"] = str(error)

    result["messages"] = [verdict(*pair, args.count) for pair in (people, reversed(people))]
    result["ok"] = result["error"] is None and all(
        way["received"] == args.count and way["lost"] == 0 and way["doubled"] == 0 and way["in_order"]
        for way in result["messages"])
    print(json.dumps(result, ensure_ascii=False), flush=True)

    if args.hold:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait([person.disconnect() for person in people], timeout=3)
    return result["ok"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5222)
    parser.add_argument("--jid", nargs=2, default=["juliet@localhost", "romeo@localhost"])
    parser.add_argument("--password", nargs=2, required=True)
    parser.add_argument("--source", nargs=2, default=["127.0.0.2", "127.0.0.3"], help="addresses to connect from")
    parser.add_argument("--count", type=int, default=10, help="messages each way")
    parser.add_argument("--size", type=int, default=0, help="characters per message, at least")
    parser.add_argument("--pause", type=float, default=0, help="seconds between one pair of messages and the next")
    parser.add_argument("--starttls", choices=["required", "disabled", "direct"], default="required",
                        help="direct: TLS from the first byte on")
    parser.add_argument("--ca", help="the certificate to trust")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for all of it")
    parser.add_argument("--show", type=int, default=0, help="how many messages each way to show on standard error")
    parser.add_argument("--hold", action="store_true", help="stay logged in until standard input ends")
    args = parser.parse_args()

    loop = LoopWithSources()
    asyncio.set_event_loop(loop)
    return 0 if loop.run_until_complete(run(args)) else 1


if __name__ == "__main__":
    # Exit at once: slixmpp leaves reconnects and timers behind.
    status = main()
    sys.stdout.flush()
    sys.exit(status)
