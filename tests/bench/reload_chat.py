"""Ten thousand users, half of them with TLS, chat through an ECM and ejabberd while the ECM is reloaded twenty times: now and then with another
binary in the place of the one that runs, and five times more with a certificate that cannot be used, which is refused; in between the link is
cut. One more reads nothing meanwhile, and another is in the middle of a stanza each time. Not one session may end, and not one message be lost,
doubled or out of order."""

import pathlib

from chat_scene import begin, reset, run
from harness import wait_until

RELOADS, OTHER_BINARIES, REFUSED, CUTS = 18, 2, 5, 6
TRIALS = ["reload"] * RELOADS + ["binary"] * OTHER_BINARIES + ["refused"] * REFUSED + ["cut"] * CUTS


def trial(what, far, server, near, edge):
    if what == "cut":
        reset(far, near, edge)
        wait_until(lambda: edge.metric("megaphone_links") == 1, "the link after a cut", 30)
    elif what == "refused":
        file = pathlib.Path(f"{edge.certificate}.crt")
        good = file.read_text()
        file.write_text("no certificate")
        edge.reload("refused")
        file.write_text(good)
    else:
        if what == "binary":
            edge.install()
        edge.reload("done")


benchmark = begin("reload-chat", __doc__)
results = run(benchmark, [(what, 2) for what in TRIALS], trial)
benchmark.finish([
    *results,
    ("reloads", benchmark.median("reloads of the ECM"), RELOADS + OTHER_BINARIES, False),
    ("reloads that were refused", benchmark.median("reloads of the ECM that were refused"), REFUSED, False),
])
