"""What the death of a server means: one of three ejabberd nodes behind an ECM is killed while users are logged in. How long it is until
all of its users are back, what others notice meanwhile, and how users are spread over the servers before and after it has come back."""

import contextlib
import re
import signal
import urllib.request

from ejabberd import Ejabberd
from harness import CLIENTS, MEGAPHONE, QUIET, Benchmark, Child, os, time, wait_until
from returning import Chatting, Returning, p99

NODES = 3
PAIRS = 100
QUIET_TIME = 10  # seconds of messages before the kill
CLOSE_RATE = 5_000  # of the ECM, its default
RESUME_TIMEOUT = 90  # seconds, of the module, its default


class Edge(Child):
    """An ECM with links to all nodes."""

    def __init__(self, nodes, *settings):
        to = [word for i, node in enumerate(nodes) for word in (f"--Ecm:Link:To:{i}", node.links)]
        super().__init__(MEGAPHONE, "--Ecm:Clients:0:Listen", CLIENTS, "--Ecm:Clients:0:Framing", "stanza", "--Ecm:Proxy", "v2",
                         *to, *settings, *QUIET, ready="megaphone ready")
        self.admin = re.search(r"admin=(\S+)", self.ready)[1]
        self.nodes = nodes
        wait_until(lambda: sum(self.links()) == len(nodes), "links to all nodes are up")

    def by_node(self, metric):
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10) as answer:
            found = dict(re.findall(metric + r'\{server="([^"]+)"\} (\d+)', answer.read().decode()))
        return [int(found[node.links]) for node in self.nodes]

    def links(self):
        return self.by_node("megaphone_link_up")

    def clients(self):
        return self.by_node("megaphone_server_clients")


def unevenness(clients):
    """By how much the server with the most has more than its share, in percent."""
    return (max(clients) / (sum(clients) / len(clients)) - 1) * 100


def fail_over(nodes, edge, users):
    patience = 300 + users / 20
    crowd = Returning(CLIENTS, users)
    crowd.start()
    wait_until(lambda: crowd.online.value == users, "all users are logged in", patience)
    everybody = [crowd]
    if not benchmark.options.alone:
        pairs = Chatting(CLIENTS, PAIRS)
        pairs.start()
        everybody.append(pairs)
        wait_until(lambda: pairs.online.value == pairs.count, "all pairs are logged in", patience)
    benchmark.add("most above its share before, %", unevenness(edge.clients()))
    time.sleep(QUIET_TIME)

    dead = nodes[-1]
    dies = edge.clients()[-1]
    killed = time.monotonic()
    os.kill(dead.pid, signal.SIGKILL)
    wait_until(lambda: sum(some.lost.value for some in everybody) >= dies, "all users of the dead node have heard of it", patience)
    heard = time.monotonic()
    wait_until(lambda: all(some.online.value == some.count for some in everybody), "all users are back", patience)
    back = time.monotonic()
    benchmark.add("users of the dead node", dies)
    benchmark.add("seconds until they have all heard of it", heard - killed)
    benchmark.add("seconds until all are back", back - killed)
    benchmark.add("refused", sum(some.refused.value for some in everybody))
    benchmark.add("gave up waiting for an answer", sum(some.given_up.value for some in everybody))
    if not benchmark.options.alone:
        times = pairs.finish()
        benchmark.add("others' messages before, p99, ms", p99(times, killed - QUIET_TIME, killed))
        benchmark.add("others' messages meanwhile, p99, ms", p99(times, killed, back))

    # It comes back with nobody. A third of the users come anew, wherever they were.
    dead.start_again()
    wait_until(lambda: sum(edge.links()) == len(nodes), "the link to the node that has come back", 60)
    left = crowd.lost.value + users // NODES
    crowd.to_leave.value = users // NODES
    wait_until(lambda: crowd.lost.value >= left and crowd.online.value == users, "a third of the users has come anew", patience)
    benchmark.add("most above its share after, %", unevenness(edge.clients()))
    crowd.terminate()
    crowd.join()


benchmark = Benchmark("failover", __doc__, rounds=1, options={
    "--users": {"type": int, "default": 10_000, "help": "default 10,000"},
    "--alone": {"action": "store_true", "help": "the servers are no cluster, so none knows of another's death, and nobody writes to others"},
    "--unpaced": {"action": "store_true", "help": "the ECM gives each server as many logins at the same time as there are (Ecm:Logins:AtOnce 0)"},
})
pacing = ["--Ecm:Logins:AtOnce", "0"] if benchmark.options.unpaced else []
for _ in benchmark.each_round():
    with contextlib.ExitStack() as running:
        cluster = []
        for i in range(1, NODES + 1):
            join = {"EJABBERD_JOIN": cluster[0].folder} if cluster and not benchmark.options.alone else {}
            cluster.append(running.enter_context(
                Ejabberd(EJABBERD_MODULES="none", EJABBERD_MEGAPHONE="1", EJABBERD_NODE=f"127.0.0.{i}", **join)))
        fail_over(cluster, running.enter_context(Edge(cluster, *pacing)), benchmark.options.users)

# Without word of its death the ECM waits as long as the module has said that sessions do.
expected = (RESUME_TIMEOUT if benchmark.options.alone else 0) + max(1, benchmark.median("users of the dead node") / CLOSE_RATE)
benchmark.finish([
    ("seconds until all are told : as long as they wait, and share of the dead node by CloseRate",
     benchmark.median("seconds until they have all heard of it") / expected, 2, True),
    ("most above its share before, %", benchmark.median("most above its share before, %"), 1, True),
])
