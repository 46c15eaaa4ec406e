#!/usr/bin/python3
"""Two people do what people do with XMPP, through slixmpp, and every stanza that they get is written down.

Prints a transcript in which nothing depends on ids, times, ports, or order where order is not defined, so that two
transcripts can be compared. Exit status 0: everything that was awaited came. Needs Debian's python3-slixmpp, and accounts
for juliet and romeo that are as new; it leaves them like that.
"""

import argparse
import asyncio
import collections
import logging
import re
import sys
import traceback

logging.disable(logging.CRITICAL)  # before the import, which warns about what it is going to do without
import slixmpp
from slixmpp.xmlstream import ET, StanzaBase

ROOM = "balcony@conference.localhost"
ROMEO = "romeo@localhost"
JULIET = "juliet@localhost"
PATIENCE = 60  # seconds for each thing that must happen

# What differs from one run to the next.
VARYING = {"id", "stamp", "ver", "previd"}
# What comes when it comes: acknowledgements, and how the login is done.
UNRECORDED = {"a", "r", "challenge", "success"}

NUMBERED = re.compile(r"(\d+) of \d+")


def described(element):
    """An element without what varies; attributes in alphabetical order."""
    namespace, _, name = element.tag.rpartition("}")
    shown = [name]
    if namespace[1:] not in ("", "jabber:client"):
        shown.append(f"xmlns='{namespace[1:]}'")
    shown += [f"{key.rpartition('}')[2]}='{value}'" for key, value in sorted(element.attrib.items()) if key not in VARYING]
    inside = (element.text or "").strip() + "".join(described(child) for child in element)
    return f"<{' '.join(shown)}>{inside}</{name}>" if inside else f"<{' '.join(shown)}/>"


class Person(slixmpp.ClientXMPP):
    """Somebody at one device, who writes down what comes."""

    def __init__(self, jid, args, resumable=False):
        super().__init__(jid, args.password)
        self.args = args
        self.resumable = resumable
        self.heard = []
        self.numbers = collections.defaultdict(list)
        self.roster.auto_authorize = None
        self.roster.auto_subscribe = None
        for plugin in ("xep_0030", "xep_0045", "xep_0054", "xep_0199", "xep_0280", "xep_0352"):
            self.register_plugin(plugin)
        if resumable:
            self.register_plugin("xep_0198")
        if args.sasl == "plain":
            self["feature_mechanisms"].use_mech = "PLAIN"
            self["feature_mechanisms"].unencrypted_plain = True
        self.add_filter("in", self.write_down)

    @property
    def title(self):
        return f"{self.requested_jid.user}/{self.requested_jid.resource}"

    def write_down(self, stanza):
        name = stanza.xml.tag.rpartition("}")[2]
        # Pings are how this program finds out that nothing more is on its way.
        is_pong = name == "iq" and stanza["id"].startswith("settled")
        is_before_login = name == "features" and stanza.xml.find("{urn:ietf:params:xml:ns:xmpp-sasl}mechanisms") is not None
        if name not in UNRECORDED and not is_pong and not is_before_login:
            line = described(stanza.xml)
            number = NUMBERED.search(line) if name == "message" else None
            if number:
                self.numbers[str(stanza["from"])].append(int(number[1]))
                line = line.replace(number[0], "# of #")
            self.heard.append(line)
        return stanza

    async def log_in(self):
        online = self.once("session_start")
        self.connect((self.args.host, self.args.port), disable_starttls=True)
        await within(online, f"{self.title}'s login")

    async def log_out(self):
        gone = self.once("disconnected")
        self.disconnect()
        await within(gone, f"the end of {self.title}'s stream")

    def once(self, event):
        """A future that is done when the event happens next."""
        future = self.loop.create_future()
        self.add_event_handler(event, lambda data: future.done() or future.set_result(data), disposable=True)
        return future

    async def hears(self, count):
        await until(lambda: len(self.heard) >= count, lambda: f"{count} stanzas for {self.title}; there are\n" + self.told())

    async def settled(self):
        """What was sent to this person before has come: the server answers in order."""
        ping = self.make_iq_get(ito="localhost")
        ping["id"] = f"settled-{self.new_id()}"
        ping.xml.append(ET.Element("{urn:xmpp:ping}ping"))
        await ping.send(timeout=PATIENCE)

    def told(self):
        """What was heard since this was asked last, to be compared."""
        lines = [f"    {count} × {line}" for line, count in sorted(collections.Counter(self.heard).items())]
        for sender, numbers in sorted(self.numbers.items()):
            order = "in order" if numbers == list(range(1, len(numbers) + 1)) else f"NOT IN ORDER: {numbers}"
            lines.append(f"    {len(numbers)} numbered messages from {sender}, {order}")
        self.heard, self.numbers = [], collections.defaultdict(list)
        return "\n".join([f"  {self.title}"] + lines)

    def say(self, to, text):
        self.send_message(mto=to, mbody=text, mtype="chat")


async def within(awaitable, what):
    try:
        return await asyncio.wait_for(awaitable, PATIENCE)
    except asyncio.TimeoutError:
        raise TimeoutError(f"not within {PATIENCE} s: {what}") from None


async def until(condition, what):
    for _ in range(PATIENCE * 100):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"not within {PATIENCE} s: {what()}")


async def phase(title, expected, settle=True):
    """Waits until each person has heard so many stanzas, and tells them all: what, and how often."""
    for person, count in expected.items():
        await person.hears(count)
    if settle:
        for person in expected:
            await person.settled()
    print(title)
    for person in expected:
        print(person.told())


async def play(args):
    juliet, romeo = Person(f"{JULIET}/balcony", args), Person(f"{ROMEO}/orchard", args)
    phone = Person(f"{ROMEO}/phone", args, resumable=True)

    for person in (juliet, romeo):
        await person.log_in()
        print(f"{person.title} logged in with {person['feature_mechanisms'].mech.name}")
        # Bind, session where it is asked for, and roster.
        await person.get_roster(timeout=PATIENCE)
        person.send_presence()
    await phase("login", {juliet: 4, romeo: 4})

    juliet.send_presence_subscription(ROMEO)
    await romeo.hears(1)
    romeo.send_presence_subscription(JULIET, ptype="subscribed")
    romeo.send_presence_subscription(JULIET)
    # Pushes for each step, the approval, presence from there, and the request.
    await juliet.hears(6)
    juliet.send_presence_subscription(ROMEO, ptype="subscribed")
    await phase("subscription", {juliet: 7, romeo: 6})

    await juliet.update_roster(ROMEO, name="My Romeo", groups=["Montagues", "Löve & <hate>"], timeout=PATIENCE)
    await juliet.get_roster(timeout=PATIENCE)
    await phase("roster", {juliet: 3})

    card = juliet["xep_0054"].make_vcard()
    card["FN"], card["NICKNAME"] = "Juliet Capulet", "jule"
    await juliet["xep_0054"].publish_vcard(card, timeout=PATIENCE)
    await juliet["xep_0054"].get_vcard(JULIET, cached=False, timeout=PATIENCE)
    await romeo["xep_0054"].get_vcard(JULIET, cached=False, timeout=PATIENCE)
    await phase("vCard", {juliet: 2, romeo: 1})

    await juliet["xep_0030"].get_info("localhost", cached=False, timeout=PATIENCE)
    await juliet["xep_0030"].get_items("localhost", timeout=PATIENCE)
    await phase("disco", {juliet: 2})

    # Presence of the room, of oneself and the other one; the subject.
    await juliet["xep_0045"].join_muc_wait(ROOM, "Juliet", maxchars=0, timeout=PATIENCE)
    await romeo["xep_0045"].join_muc_wait(ROOM, "Romeo", maxchars=0, timeout=PATIENCE)
    await phase("room, joined", {juliet: 4, romeo: 4})
    for number in range(1, 21):
        for person in (juliet, romeo):
            person.send_message(mto=ROOM, mbody=f"{number} of 20", mtype="groupchat")
    await phase("room, talk", {juliet: 40, romeo: 40})
    romeo["xep_0045"].leave_muc(ROOM, "Romeo")
    await phase("room, one left", {juliet: 1, romeo: 2})
    juliet["xep_0045"].leave_muc(ROOM, "Juliet")
    await phase("room, both left", {juliet: 2})

    await asyncio.sleep(args.rest)
    for number in range(1, args.count + 1):
        juliet.say(romeo.boundjid.full, f"{number} of {args.count}: äöü € 😀 ]]> & <b/>")
        romeo.say(juliet.boundjid.full, f"{number} of {args.count}: " + "=" * (number % 5 * 100))
        if number % 20 == 0:
            # In step: what each has under way is bounded, as it is with people.
            await juliet.hears(number - 100)
            await romeo.hears(number - 100)
    await juliet.hears(args.count)
    await phase(f"{args.count} messages each way", {juliet: args.count, romeo: args.count})

    await asyncio.sleep(args.rest)
    await phone.log_in()
    phone.send_presence()
    await phone["xep_0280"].enable(timeout=PATIENCE)
    # Features, bind, enabled; own presence, that of the other device and of juliet; the answer about carbons.
    await phase("a second device", {phone: 7, romeo: 1, juliet: 1})
    await asyncio.sleep(args.rest)
    juliet.say(romeo.boundjid.full, "to the orchard")
    await phone.hears(1)
    romeo.say(juliet.boundjid.full, "from the orchard")
    await phase("carbons", {juliet: 1, romeo: 1, phone: 2})

    phone.send_raw("<inactive xmlns='urn:xmpp:csi:0'/>")
    await asyncio.sleep(0.3 + args.rest)  # nothing answers it
    juliet.send_presence(pshow="away")
    juliet.send_presence(pshow="dnd")
    await romeo.hears(2)
    await asyncio.sleep(0.3 + args.rest)  # what was not held back would be here
    await phase("inactive: presence waits", {juliet: 2, romeo: 2, phone: 0}, settle=False)
    phone.send_raw("<active xmlns='urn:xmpp:csi:0'/>")
    await phase("active again", {phone: 1})

    # The phone is cut off in a tunnel: messages that the server sent are never read, and some come in meanwhile. What the
    # phone itself has said is acknowledged before, because slixmpp 1.8 forgets its own queue when it asks to resume.
    phone["xep_0198"].request_ack()
    await phone.settled()
    phone.transport.pause_reading()
    for number in range(1, 6):
        juliet.say(phone.boundjid.full, f"{number} of 10 in the tunnel")
    await juliet.settled()
    await asyncio.sleep(0.3)  # they are on their way to nowhere now
    lost, back = phone.once("disconnected"), phone.once("session_resumed")
    phone.transport.abort()
    await within(lost, "the phone's end")
    await asyncio.sleep(args.rest)
    for number in range(6, 11):
        juliet.say(phone.boundjid.full, f"{number} of 10 in the tunnel")
    await juliet.settled()
    phone.connect((args.host, args.port), disable_starttls=True)
    await within(back, "the resumed session")
    phone.say(juliet.boundjid.full, "1 of 1 out of the tunnel")
    # Features, resumed, and the ten.
    await phase("resumed", {phone: 12, juliet: 1})

    await phone.log_out()
    await romeo.hears(1)
    print("phone leaves")
    print(romeo.told())
    await romeo.log_out()
    await phase("romeo leaves", {juliet: 2})
    await asyncio.sleep(args.rest)
    for number in range(1, 4):
        juliet.say(ROMEO, f"{number} of 3 for later")
    await juliet.settled()
    romeo = Person(f"{ROMEO}/orchard", args)
    await romeo.log_in()
    romeo.send_presence()
    # Features, bind, own presence and the other one's, three messages.
    await phase("offline messages", {romeo: 7, juliet: 1})

    await juliet.update_roster(ROMEO, subscription="remove", timeout=PATIENCE)
    await juliet["xep_0054"].publish_vcard(juliet["xep_0054"].make_vcard(), timeout=PATIENCE)
    await phase("juliet forgets", {juliet: 4, romeo: 5})
    await romeo.update_roster(JULIET, subscription="remove", timeout=PATIENCE)
    await phase("romeo forgets", {romeo: 2, juliet: 0})
    await juliet.log_out()
    await romeo.log_out()
    print("all logged out")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--sasl", choices=["scram", "plain"], default="scram")
    parser.add_argument("--count", type=int, default=10, help="messages each way")
    parser.add_argument("--rest", type=float, default=0, help="seconds in which everybody is silent, before what can wake them up")
    args = parser.parse_args()

    try:
        asyncio.get_event_loop().run_until_complete(play(args))
    except Exception:  # whatever it was: the test shows it
        sys.stdout.flush()
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
