#!/usr/bin/python3
"""Two people chat with mcabber, a program for the terminal: each has one, which this program drives through its FIFO and
reads through its log of what was said.

    mcabber_chat.py PORT PASSWORD COUNT

Prints who said what, as each of them saw it. Exit status 0: everything came. Needs Debian's mcabber, and accounts for
juliet and romeo. mcabber encrypts where the server offers it (without looking at the certificate, here) and does without
where it does not. sendxmpp would do that too, but it only sends.
"""

import os
import pty
import re
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

PATIENCE = 60  # seconds for each thing that must happen

SETTINGS = """\
set jid = {name}@localhost/mcabber
set password = {password}
set server = 127.0.0.1
set port = {port}
set tls = 0
set tls_ignore_checks = 1
set pinginterval = 0
set hook-post-connect = echo Hello_world
set logging = 1
set logging_dir = {home}/history/
set statefile = {home}/state
module load fifo
set fifo_name = {home}/fifo
"""


def until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE} s: {what}")
        time.sleep(0.02)


class Person:
    """Somebody who uses mcabber."""

    def __init__(self, name, other, port, password, folder):
        self.name, self.other, self.home = name, f"{other}@localhost", Path(folder, name)
        self.history = self.home / "history" / self.other
        self.screen = bytearray()
        self.history.parent.mkdir(parents=True)
        (self.home / "mcabberrc").write_text(SETTINGS.format(name=name, password=password, port=port, home=self.home))
        os.chmod(self.home / "mcabberrc", 0o600)
        self.pid, terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", LC_ALL="C.UTF-8")
            os.execvp("mcabber", ["mcabber", "-f", str(self.home / "mcabberrc")])
        # Somebody has to look at the screen, or mcabber stops when the terminal is full.
        threading.Thread(target=self.look, args=(terminal,), daemon=True).start()

    def look(self, terminal):
        try:
            while some := os.read(terminal, 65536):
                self.screen += some
        except OSError:
            pass  # the other end of the terminal is gone

    def online(self):
        return b"Hello_world" in self.screen

    def command(self, line):
        with open(self.home / "fifo", "w") as fifo:
            fifo.write(line + "\n")

    def saw(self):
        """The messages of the history: MR was received, MS was sent."""
        text = self.history.read_text() if self.history.exists() else ""
        return re.findall(r"^(M[RS]) \S+ \d+ (.*)$", text, re.MULTILINE)

    def quit(self):
        self.command("quit")
        until(lambda: os.waitpid(self.pid, os.WNOHANG)[0] != 0, f"the end of {self.name}'s mcabber")


def main():
    port, password, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        people = [Person(*names, port, password, folder) for names in (("juliet", "romeo"), ("romeo", "juliet"))]
        try:
            for person in people:
                until(lambda: (person.home / "fifo").exists(), f"{person.name}'s mcabber")
                until(person.online, f"{person.name}'s login; the screen shows {bytes(person.screen)!r}")
            for number in range(1, count + 1):
                for person in people:
                    person.command(f"say_to {person.other} {number} of {count}: this is {person.name} & <b>äöü</b>")
            for person in people:
                until(lambda: len(person.saw()) >= 2 * count, f"{2 * count} messages in {person.name}'s history: {person.saw()}")
            for person in people:
                print(person.name)
                for way in ("MR", "MS"):
                    print(*(f"  {way} {text}" for kind, text in person.saw() if kind == way), sep="\n")
                person.quit()
        finally:
            for person in people:
                try:
                    os.kill(person.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


if __name__ == "__main__":
    main()
