# SPDX-License-Identifier: Apache-2.0
"""Requests that crash whatever engine computes them: each costs at most two processes, and nobody else anything."""

import time

from company import VOCABULARY, Cluster, members, scripted, wait_serving
from cluster import troupe
from users import Users, bad, verdict

POISON = 511  # a token id that no other prompt contains, and no other answer: it would crash the engine that resumes it
CRASHES_MAX = 2


def crashes(cluster):
    """How often a rank ended by itself, from the logs of all nodes' lives."""
    return sum(
        line.count("rank-exited") and "cause=killed" not in line
        for log in cluster.folder.glob("*.log")
        for line in log.read_text(errors="replace").splitlines()
    )


def run(options):
    per_request = []
    with Cluster(scripted(nodes="ab", tensor=2, allow_faults=True)) as cluster:
        cluster.start()
        for group, rank, _, _ in members(wait_serving(cluster)):
            if rank == 0:
                troupe("inject", "crash", f"engine:{group}/{rank}", "--token", str(POISON), "--node", cluster.node.address)
        addresses = [node.address for node in cluster.nodes.values()]
        common = {"scripted": VOCABULARY, "vocabulary": 500}
        others = Users(addresses, users=6, seconds=10**6, seed=options.seed, max_tokens=120, avoid=POISON, **common)
        poisoned = []
        for index in range(options.count):
            wait_serving(cluster)
            before = crashes(cluster)
            one = Users(
                addresses[index % 2 :] + addresses[: index % 2],
                users=1, count=1, seed=1000 + index, max_tokens=20, poison=[f"0:{POISON}"], **common,
            )  # fmt: skip
            poisoned += one.finish(120)
            time.sleep(0.5)
            wait_serving(cluster)
            per_request.append(crashes(cluster) - before)
        others.stop()
        requests = others.finish(120)
    counts = verdict(requests)
    codes = sorted({str(r.error or r.refused) for r in poisoned})
    worst = max(per_request)
    return {
        "test": f"{len(poisoned)} poison requests among others",
        "target": "at most 2 processes each, others unchanged",
        "processes_lost": {"most": worst, "in all": sum(per_request)},
        "ended_with": codes,
        **counts,
        "bad": bad(counts) + sum(lost > CRASHES_MAX for lost in per_request) + (codes != ["poison"]),
    }
