"""Ten thousand users, half of them with TLS, chat through an ECM and ejabberd while the link between the two is cut fifty times: by a reset
in the middle of what is being sent, by a network that loses everything for 1, 20 and 60 seconds, by an ejabberd whose listener is
started anew; where there is a hub in front of ejabberd, by a reload of that, now and then with another binary in the place of its own. One more
reads nothing meanwhile, and another is in the middle of a stanza each time. Not one session may end, and not one message be lost, doubled or out
of order."""

import itertools
import pathlib
import re

from chat_scene import begin, reset, run
from harness import takes_connections, time, wait_until

NETWORKS = [1] * 10 + [20, 20, 60]
CUTS = {False: ["reset"] * 30 + ["listener"] * 7, True: ["reset"] * 17 + ["reload"] * 17 + ["binary"] * 3}
CLOSE_RATES = itertools.count(5_001)  # all different, and none matters


def restart_listener(server):
    """Gives the listener another option, so that ejabberd stops it and starts another."""
    file = pathlib.Path(server.folder, "ejabberd.yml")
    file.write_text(re.sub(r"close_rate: \d+", f"close_rate: {next(CLOSE_RATES)}", file.read_text()))
    server.script("ctl", "reload_config")
    time.sleep(0.5)


def cut(how, far, server, near, edge):
    before = edge.metric("megaphone_link_cuts_total")
    if how == "reset":
        reset(far, near, edge)
    elif how == "listener":
        # Now and then ejabberd opens the port only when its configuration is loaded once more. Then the link may be up without a listener.
        wait_until(lambda: restart_listener(server) or takes_connections(near.link), "the listener", 60)
        wait_until(lambda: edge.metric("megaphone_links") == 1, "the link after a listener's", 60)
        return
    elif how in ("reload", "binary"):
        if how == "binary":
            near.install()
        near.reload("done")
    else:
        far.lose()
        time.sleep(how)
        far.carry()
        # One that is short is left to TCP.
        wait_until(lambda: edge.metric("megaphone_links") == 1, f"the link after {how} s", 30)
        return
    wait_until(lambda: edge.metric("megaphone_link_cuts_total") > before and edge.metric("megaphone_links") == 1, f"the link after a {how}", 30)


benchmark = begin("cut-chat", __doc__, **{"--hub": {"action": "store_true", "help": "a hub in front of ejabberd in place of the module in it"}})
has_hub = benchmark.options.hub
results = run(benchmark, [(how, how if isinstance(how, int) else 1) for how in CUTS[has_hub] + NETWORKS], cut, has_hub)
benchmark.finish([
    *results,
    ("cuts", benchmark.median("cuts"), 36, False),
    *([("reloads of the hub", benchmark.median("reloads of the hub"), 20, False)] if has_hub else []),
    ("ECM, MiB more than before", benchmark.median("ECM, MiB more than before"), 8, True),
])
