"""XMPP users who come back when their connection ends, as real ones do, and others who write to each other: for failover.py, relogin.py."""

import asyncio
import base64
import bisect
import multiprocessing
import random
import time

HEADER = (b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
          b"xmlns:stream='http://etherx.jabber.org/streams'>")
ANONYMOUS = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>"
STEPS = 4
FIRST_WAIT, LONGEST_WAIT = 1, 16  # seconds before a user comes back; doubled each time, and half of it is random
LOGINS_AT_ONCE = 200  # at the start; those who come back wait for nobody
STEP_LIMIT = 30  # seconds without an answer, after which a client gives up


def login(auth):
    """What the server says last in each step of a login, and what is sent then."""
    return [
        (b"</stream:features>", auth),
        (b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'", HEADER),
        (b"</stream:features>", b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"),
        (b"</iq>", b"<presence/>"),
    ]


def plain(name):
    """The same for an account; its password is of no matter."""
    secret = base64.b64encode(b"\0" + name.encode() + b"\0pass")
    return b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + secret + b"</auth>"


class User(asyncio.Protocol):
    """One user: logs in, stays, and logs in again when the connection has ended."""

    def __init__(self, crowd, auth, source):
        """`source`: the address that it comes from; None: the kernel chooses."""
        self.crowd, self.wait, self.login, self.source = crowd, FIRST_WAIT, login(auth), source
        self.address, self.transport, self.timer = None, None, None

    def connect(self):
        asyncio.ensure_future(self.try_to_connect())

    async def try_to_connect(self):
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self, *self.crowd.to, local_addr=(self.source, 0) if self.source else None)
        except OSError:
            self.come_back()

    def come_back(self):
        asyncio.get_running_loop().call_later(self.wait * random.uniform(0.5, 1), self.connect)
        self.wait = min(LONGEST_WAIT, 2 * self.wait)

    def connection_made(self, transport):
        self.transport, self.step, self.heard = transport, 0, b""
        self.say(HEADER)

    def say(self, something):
        self.transport.write(something)
        if self.timer:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(STEP_LIMIT, self.give_up)

    def give_up(self):
        self.crowd.given_up.value += 1
        self.transport.abort()

    def data_received(self, data):
        if self.step == STEPS:
            self.crowd.heard(self, data)
            return
        self.heard += data
        if b"<resource-constraint" in self.heard or b"<policy-violation" in self.heard or b"<failure" in self.heard:
            self.crowd.refused.value += 1
            self.heard = b""
            self.transport.abort()
            return
        while self.step < STEPS and (at := self.heard.find(self.login[self.step][0])) >= 0:
            if self.step == STEPS - 1:
                self.address = self.heard[self.heard.index(b"<jid>") + 5:self.heard.index(b"</jid>")]
            self.heard = self.heard[at + len(self.login[self.step][0]):]
            self.say(self.login[self.step][1])
            self.step += 1
            if self.step == STEPS:
                self.timer.cancel()
                self.heard, self.wait = b"", FIRST_WAIT
                self.crowd.arrived(self)

    def connection_lost(self, _):
        self.timer.cancel()
        if self.step == STEPS:
            self.crowd.gone(self)
        self.come_back()


class Returning(multiprocessing.Process):
    """Users in a process of their own. `online` and `lost` are how many are logged in, and how often one was logged in no more; `refused` and
    `given_up`, how often one was refused, and gave up waiting for an answer."""

    def __init__(self, to, count, first=None):
        """`first`: the number of the first one; then each has an account and an address of its own. None: they are anonymous."""
        super().__init__(daemon=True)
        host, port = to.split(":")
        self.to, self.count, self.first = (host, int(port)), count, first
        self.online, self.lost, self.refused, self.given_up, self.to_leave = (multiprocessing.Value("l", 0) for _ in range(5))

    def user(self, number):
        if self.first is None:
            return User(self, ANONYMOUS, None)
        number += self.first
        return User(self, plain(f"user{number}"), f"127.40.{number // 250}.{1 + number % 250}")

    def run(self):
        asyncio.run(self.live())

    async def live(self):
        self.users = [self.user(number) for number in range(self.count)]
        for number, user in enumerate(self.users):
            while number - self.online.value >= LOGINS_AT_ONCE and not self.lost.value:
                await asyncio.sleep(0.01)
            user.connect()
        while True:
            await asyncio.sleep(0.05)
            if self.to_leave.value:
                for user in random.sample(self.users, self.to_leave.value):
                    user.transport.abort()
                self.to_leave.value = 0

    def arrived(self, user):
        self.online.value += 1

    def gone(self, user):
        self.online.value -= 1
        self.lost.value += 1

    def heard(self, user, data):
        pass


class Chatting(Returning):
    """Pairs that write to each other, each user a message a second. Who was logged in no more counts no more."""

    def __init__(self, to, pairs):
        super().__init__(to, 2 * pairs)
        self.told, self.asks = multiprocessing.Pipe(duplex=False)
        self.ends = multiprocessing.Event()

    async def live(self):
        self.times, self.broken = [], set()
        living = asyncio.ensure_future(super().live())
        while self.online.value < self.count:
            await asyncio.sleep(0.05)
        while not self.ends.is_set():
            for number, user in enumerate(self.users):
                partner = self.users[number ^ 1]
                if user in self.broken or partner in self.broken:
                    continue
                user.transport.write(b"<message type='chat' to='%s'><body>%.6f;</body></message>" % (partner.address, time.monotonic()))
                await asyncio.sleep(1 / self.count)
        living.cancel()
        self.asks.send(self.times)

    def gone(self, user):
        super().gone(user)
        self.broken.add(user)

    def heard(self, user, data):
        now = time.monotonic()
        *messages, user.heard = (user.heard + data).split(b"</body>")
        for message in messages:
            sent = float(message[message.index(b"<body>") + 6:].split(b";")[0])
            self.times.append((sent, now - sent))

    def finish(self):
        """When each message was sent, and how long it took, in seconds."""
        self.ends.set()
        times = self.told.recv()
        self.join()
        return sorted(times)


def p99(times, since, until):
    """The 99th percentile of what was sent in that time, in milliseconds."""
    took = sorted(took for sent, took in times[bisect.bisect(times, (since,)):bisect.bisect(times, (until,))])
    return took[int(len(took) * 0.99)] * 1e3
