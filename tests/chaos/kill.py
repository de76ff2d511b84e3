# SPDX-License-Identifier: Apache-2.0
"""kill -9 over roles and phases: every accepted request ends with its exact tokens; how long the streams are silent."""

import random
import time

from company import VOCABULARY, Cluster, kill, members, scripted, wait_serving
from users import Users, bad, extra_gap, now, step_time, summary, verdict

ROLES = ("leader", "follower", "node", "first node")
TARGETS_MS = {"leader": 900, "follower": 500}


def pick(role, cluster, status, dice):
    """A process id and the node that must be started again afterwards, if any."""
    if role in ("leader", "follower"):
        wanted = [m for m in members(status) if (m[1] == 0) == (role == "leader")]
        return dice.choice(wanted)[3], None
    name = "a" if role == "first node" else dice.choice([name for name in cluster.nodes if name != "a"])
    return cluster.nodes[name].pid, name


def run(options):
    dice = random.Random(options.seed)
    kills = []
    with Cluster(scripted(nodes="abc", tensor=2)) as cluster:
        cluster.start()
        wait_serving(cluster)
        users = Users(
            [node.address for node in cluster.nodes.values()],
            users=12, seconds=10**6, seed=options.seed, scripted=VOCABULARY, max_tokens=150,
        )  # fmt: skip
        time.sleep(1)
        for index in range(options.count):
            role = ROLES[index % len(ROLES)] if index % 8 >= 4 else ROLES[index % 2]  # nodes take longer: fewer of them
            status = wait_serving(cluster, next(n for n in cluster.nodes.values() if n.child.running()))
            time.sleep(dice.uniform(0, 0.6))  # whatever phase it is in: prefill, decode, between requests, re-forming
            pid, node = pick(role, cluster, status, dice)
            if (at := kill(pid)) is None:
                continue
            kills.append((role, at))
            if node:
                cluster.nodes[node].wait_end()
                time.sleep(dice.uniform(0, 0.5))
                address = cluster.nodes[node].address
                cluster.begin(node).wait_ready()
                assert cluster.nodes[node].address == address
        wait_serving(cluster)
        time.sleep(1)
        users.stop()
        requests = users.finish(120)
    step = step_time(requests)
    ends = [at for _, at in kills[1:]] + [now()]
    gaps = {role: [] for role in ROLES}
    for (role, at), until in zip(kills, ends):
        if (gap := extra_gap(requests, at, min(until, at + 3), step)) is not None:
            gaps[role].append(gap)
    counts = verdict(requests)
    return {
        "test": f"{len(kills)} x kill -9",
        "target": "0 bad tokens; extra gap p99: rank 500 ms, leader 900 ms",
        "step_ms": round(step * 1000, 2),
        "extra_gap_ms": {role: summary(values) for role, values in gaps.items()},
        "targets_ms": TARGETS_MS,
        **counts,
        "bad": bad(counts),
    }
