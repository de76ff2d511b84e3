# SPDX-License-Identifier: Apache-2.0
"""The real CPU engine: sampled answers that were interrupted equal those of an uninterrupted run, bit for bit."""

import random
import time

from company import Cluster, VOCABULARY, kill, members, wait_serving
from cluster import DEMO_MODEL, topology
from users import Users, bad, verdict

SAMPLED = {"temperature": 0.8, "max_tokens": 200, "prompt_tokens": 32, "vocabulary": VOCABULARY}


def answers(options, breaking):
    """The requests, and how many were under way at some kill."""
    dice = random.Random(options.seed)
    kills = []
    file = topology(model=DEMO_MODEL, nodes="ab", tensor=2, restart_limit=1_000_000)
    with Cluster(file) as cluster:
        cluster.start()
        wait_serving(cluster)
        users = Users(
            [node.address for node in cluster.nodes.values()],
            users=8, seconds=10**6, count=options.count, seed=options.seed, **SAMPLED,
        )  # fmt: skip
        while users.running() and breaking:
            time.sleep(dice.uniform(0.05, 0.3))
            status = wait_serving(cluster)
            if users.running() and (at := kill(dice.choice(members(status))[3])):
                kills.append(at)
        requests = users.finish(600)
    interrupted = sum(any(r.begun < at < r.ended for at in kills) for r in requests)
    return requests, interrupted, len(kills)


def run(options):
    calm, _, _ = answers(options, breaking=False)
    broken, interrupted, kills = answers(options, breaking=True)
    equal = sum(a.tokens == b.tokens for a, b in zip(calm, broken, strict=True))
    counts = verdict(broken)
    return {
        "test": f"{interrupted} interrupted of {len(broken)} sampled requests, demo model, {kills} kills",
        "target": "100 % bit-equal to the uninterrupted run",
        "interrupted": interrupted,
        "equal": equal,
        **counts,
        "bad": bad(counts) + len(calm) - equal,
    }
