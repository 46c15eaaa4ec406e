"""A network namespace that a cable joins with this one. Takes root."""

import contextlib
import ctypes
import subprocess

from harness import LIBC, MEGAPHONE, Child

NAMESPACE = "mpcuts"
HERE, THERE = "10.214.7.1", "10.214.7.2"
CLONE_NEWNET = 0x40000000


class Far:
    """A network namespace at the other end of a cable, and what loses everything on the way."""

    def __enter__(self):
        self.ip("netns", "add", NAMESPACE)
        self.ip("link", "add", NAMESPACE, "type", "veth", "peer", "name", NAMESPACE, "netns", NAMESPACE)
        self.ip("address", "add", f"{HERE}/30", "dev", NAMESPACE)
        self.ip("link", "set", NAMESPACE, "up")
        for device in NAMESPACE, "lo":
            self.ip("-netns", NAMESPACE, "link", "set", device, "up")
        self.carry()
        return self

    def __exit__(self, *_):
        # This end first: the other one would stay as long as a process is in its namespace.
        self.ip("link", "delete", NAMESPACE)
        self.ip("netns", "delete", NAMESPACE)

    def lose(self):
        self.ip("-netns", NAMESPACE, "address", "delete", f"{THERE}/30", "dev", NAMESPACE)

    def carry(self):
        self.ip("-netns", NAMESPACE, "address", "add", f"{THERE}/30", "dev", NAMESPACE)

    def child(self, *options, binary=MEGAPHONE):
        """A megaphone there."""
        return Child(*self.command(binary, *options), ready="megaphone ready")

    @staticmethod
    def command(*words):
        """A command that executes another one there."""
        return "ip", "netns", "exec", NAMESPACE, *words

    @contextlib.contextmanager
    def inside(self):
        """Has the calling thread's new sockets be there."""
        with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{NAMESPACE}") as there:
            self.enter(there)
            try:
                yield
            finally:
                self.enter(here)

    @staticmethod
    def enter(namespace):
        if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns failed")

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True)
