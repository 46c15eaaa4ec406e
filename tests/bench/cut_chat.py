"""Ten thousand users, half of them with TLS, chat through an ECM and ejabberd while the link between the two is cut fifty times: by a reset
in the middle of what is being sent, by a network that loses everything for 1, 20 and 60 seconds, by an ejabberd whose listener is
started anew. One more reads nothing meanwhile, and another is in the middle of a stanza each time. Not one session may end, and not one message be
lost, doubled or out of order."""

import itertools
import pathlib
import re

from chat_scene import measured, reset
from far import HERE
from harness import takes_connections, time, wait_until

CUTS = ["reset"] * 30 + ["listener"] * 7 + [1] * 10 + [20, 20, 60]
CLOSE_RATES = itertools.count(5_001)  # all different, and none matters


def restart_listener(server):
    """Gives the listener another option, so that ejabberd stops it and starts another."""
    file = pathlib.Path(server.folder, "ejabberd.yml")
    file.write_text(re.sub(r"close_rate: \d+", f"close_rate: {next(CLOSE_RATES)}", file.read_text()))
    server.script("ctl", "reload_config")
    time.sleep(0.5)


def cut(how, far, server, edge):
    before = edge.metric("megaphone_link_cuts_total")
    if how == "reset":
        reset(far, server, edge)
    elif how == "listener":
        # Now and then ejabberd opens the port only when its configuration is loaded once more. Then the link may be up without a listener.
        wait_until(lambda: restart_listener(server) or takes_connections(f"{HERE}:{server.links.split(':')[1]}"), "the listener", 60)
        wait_until(lambda: edge.metric("megaphone_links") == 1, "the link after a listener's", 60)
        return
    else:
        far.lose()
        time.sleep(how)
        far.carry()
        # One that is short is left to TCP.
        wait_until(lambda: edge.metric("megaphone_links") == 1, f"the link after {how} s", 30)
        return
    wait_until(lambda: edge.metric("megaphone_link_cuts_total") > before and edge.metric("megaphone_links") == 1, f"the link after a {how}", 30)


benchmark, results = measured("cut-chat", __doc__, [(how, how if isinstance(how, int) else 1) for how in CUTS], cut)
benchmark.finish([
    *results,
    ("cuts", benchmark.median("cuts"), 36, False),
    ("ECM, MiB more than before", benchmark.median("ECM, MiB more than before"), 8, True),
])
