#!/usr/bin/python3
"""Romeo, on TCP, who talks to Juliet in a browser.

He logs in, enters the room, and says "ready". Then he reads what to do from standard input, one thing a line, and answers each with a
line that begins with it, when it is done:

    tell PERSON TEXT    says that to somebody
    chat THERE COUNT    hears COUNT numbered messages from that room or person, and says as many, from when the first has come
    count COUNT         says COUNT numbered messages to the device that he has talked with last
"""

import argparse
import asyncio
import sys
import traceback

from slixmpp_chat import PATIENCE, ROMEO, Person, until


class Romeo(Person):
    def __init__(self, args):
        super().__init__(f"{ROMEO}/orchard", args)
        self.juliet = None

    def partner(self, there):
        """The one who talks to him there, and the numbers that came."""
        return next((one for one in self.numbers.items() if one[0].startswith(there) and not one[0].endswith("/Romeo")), (None, []))

    async def chat(self, there, count):
        count = int(count)
        in_room = "@conference." in there
        for number in range(1, count + 1):
            # In step: what each has under way is bounded, as it is with people.
            await self.hears_numbers(there, max(number - 80, 1))
            if not in_room:
                self.juliet, _ = self.partner(there)
            to, kind = (there, "groupchat") if in_room else (self.juliet, "chat")
            self.send_message(mto=to, mbody=f"{number} of {count}: äöü € 😀 ]]> & <b/>", mtype=kind)
        await self.hears_numbers(there, count)
        _, numbers = self.partner(there)
        self.numbers.clear()
        return f"{len(numbers)} messages {'in order' if numbers == list(range(1, count + 1)) else f'NOT IN ORDER: {numbers}'}"

    async def hears_numbers(self, there, count):
        await until(lambda: len(self.partner(there)[1]) >= count, lambda: f"{count} messages from {there}; there are\n{self.told()}")

    async def tell(self, person, *text):
        self.say(person, " ".join(text))
        return "done"

    async def count(self, count):
        for number in range(1, int(count) + 1):
            self.say(self.juliet, f"{number} of {count}")
        await self.settled()
        return "done"


async def play(args):
    romeo = Romeo(args)
    await romeo.log_in()
    romeo.send_presence()
    await romeo["xep_0045"].join_muc_wait(args.room, "Romeo", maxchars=0, timeout=PATIENCE)
    print("ready", flush=True)
    doing = {"tell": romeo.tell, "chat": romeo.chat, "count": romeo.count}
    while line := (await asyncio.get_event_loop().run_in_executor(None, sys.stdin.readline)).strip():
        what, *how = line.split(" ")
        print(f"{line}: {await doing[what](*how)}", flush=True)
    await romeo.log_out()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--room", required=True)
    parser.set_defaults(sasl="scram")
    try:
        asyncio.get_event_loop().run_until_complete(play(parser.parse_args()))
    except Exception:  # whatever it was: the test shows it
        sys.stdout.flush()
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
