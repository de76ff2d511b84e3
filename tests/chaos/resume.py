# SPDX-License-Identifier: Apache-2.0
"""The real CPU engine: sampled answers that were interrupted equal those of an uninterrupted run, bit for bit."""

import random
import time

from company import Cluster, VOCABULARY, kill, members, wait_serving
from cluster import DEMO_MODEL, topology, troupe
from users import Users, bad, verdict

SAMPLED = {"temperature": 0.8, "max_tokens": 200, "prompt_tokens": 32, "vocabulary": VOCABULARY}
ROUND = 200  # requests at most
ROUNDS_MAX = 40


def moves(cluster):
    """How often routers had to place a request again."""
    statuses = (troupe("status", "--json", "--node", node.address).json() for node in cluster.nodes.values())
    return sum(status["router"]["moved"] for status in statuses)


def answers(count, seed, breaking):
    """The requests, how often one of them was taken up again elsewhere, and the number of kills."""
    dice = random.Random(seed)
    kills = 0
    file = topology(model=DEMO_MODEL, nodes="ab", tensor=2, restart_limit=1_000_000)
    with Cluster(file) as cluster:
        cluster.start()
        wait_serving(cluster)
        users = Users(
            [node.address for node in cluster.nodes.values()],
            users=16, seconds=10**6, count=count, seed=seed, **SAMPLED,
        )  # fmt: skip
        while users.running() and breaking:
            time.sleep(dice.uniform(0.05, 0.3))
            status = wait_serving(cluster)
            kills += users.running() and kill(dice.choice(members(status))[3]) is not None
        requests = users.finish(600)
        return requests, moves(cluster), kills


def run(options):
    broken, equal, interrupted, kills = [], 0, 0, 0
    for index in range(ROUNDS_MAX):
        count, seed = min(options.count, ROUND), options.seed + index
        calm, _, _ = answers(count, seed, breaking=False)
        some, moved, deaths = answers(count, seed, breaking=True)
        equal += sum(a.tokens == b.tokens for a, b in zip(calm, some, strict=True))
        broken += some
        interrupted += moved
        kills += deaths
        if interrupted >= options.count:
            break
    counts = verdict(broken)
    return {
        "test": f"{interrupted} interruptions of {len(broken)} sampled requests, demo model, {kills} kills",
        "target": "100 % bit-equal to the uninterrupted run",
        "interrupted": interrupted,
        "equal": equal,
        **counts,
        "bad": bad(counts) + len(broken) - equal + (interrupted < options.count),
    }
