"""Ten thousand users, half of them with TLS, chat through an ECM and ejabberd while the ECM is reloaded twenty times: now and then with another
binary in the place of the one that runs, and five times more with a certificate that cannot be used, which is refused; in between the link is
cut. One more reads nothing meanwhile, and another is in the middle of a stanza each time. Not one session may end, and not one message be lost,
doubled or out of order."""

import os
import pathlib
import signal

from chat_scene import measured, reset
from harness import time, wait_until

RELOADS, OTHER_BINARIES, REFUSED, CUTS = 18, 2, 5, 6
TRIALS = ["reload"] * RELOADS + ["binary"] * OTHER_BINARIES + ["refused"] * REFUSED + ["cut"] * CUTS


def reload(edge, result):
    """Orders a reload, and waits until one more has come out like this. While one is under way nobody gets an answer."""
    before = edge.metric("megaphone_reloads_total", result)
    os.kill(edge.child.pid, signal.SIGHUP)
    time.sleep(0.5)
    wait_until(lambda: edge.metric("megaphone_reloads_total", result) == before + 1, f"a reload that is {result}", 60)
    wait_until(lambda: edge.metric("megaphone_links") == 1, "the link after a reload", 30)


def trial(what, far, server, edge):
    if what == "cut":
        reset(far, server, edge)
        wait_until(lambda: edge.metric("megaphone_links") == 1, "the link after a cut", 30)
    elif what == "refused":
        file = pathlib.Path(f"{edge.certificate}.crt")
        good = file.read_text()
        file.write_text("no certificate")
        reload(edge, "refused")
        file.write_text(good)
    else:
        if what == "binary":
            edge.install()
        reload(edge, "done")


benchmark, results = measured("reload-chat", __doc__, [(what, 2) for what in TRIALS], trial)
benchmark.finish([
    *results,
    ("reloads", benchmark.median("reloads"), RELOADS + OTHER_BINARIES, False),
    ("reloads that were refused", benchmark.median("reloads that were refused"), REFUSED, False),
])
