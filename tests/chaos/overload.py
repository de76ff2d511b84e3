# SPDX-License-Identifier: Apache-2.0
"""Ten times as many requests as a cluster can serve: bounded memory, quick refusals, and no worse for the admitted."""

import threading
import time

from company import VOCABULARY, Cluster, children_of, resident_bytes, scripted, wait_serving
from users import Users, bad, percentile, summary, verdict

SHAPE = {"prompt_tokens": 64, "max_tokens": 64, "scripted": VOCABULARY}


def memory(node):
    return sum(resident_bytes(pid) for pid in [node.pid, *children_of(node.pid)])


def run(options):
    seconds = options.seconds or (15 if options.short else 300)
    engine = {"max_sequences": 16, "kv_blocks": 512}
    samples = []
    with Cluster(scripted(nodes="a", tensor=2, step_ms=20, engine=engine)) as cluster:
        cluster.start()
        wait_serving(cluster)
        # As many users as there are places: what the cluster can do.
        users = Users([cluster.node.address], users=16, seconds=max(8, seconds / 10), seed=options.seed, **SHAPE)
        capacity = users.finish(120)
        span = max(r.ended for r in capacity) - min(r.begun for r in capacity)
        rate = len(capacity) / span
        calm = percentile([r.first_token_after() for r in capacity if r.pieces], 0.99)
        before = memory(cluster.node)
        over = threading.Event()

        def watch():
            while not over.wait(1):
                samples.append(memory(cluster.node))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            users = Users(
                [cluster.node.address], users=1000, rate=10 * rate, seconds=seconds, seed=options.seed + 1, **SHAPE
            )
            flood = users.finish(seconds + 300)
        finally:
            over.set()
            watcher.join()
        time.sleep(1)
        after = memory(cluster.node)
    counts = verdict(flood)
    refused = [r.ended - r.begun for r in flood if r.accepted is None]
    admitted = [r.first_token_after() for r in flood if r.accepted is not None and r.pieces]
    return {
        "test": f"overload: {10 * rate:.0f} requests/s for {seconds} s where {rate:.1f} can be served",
        "target": "memory +10 %, refusals p99 50 ms, admitted first token p99 at most 2x",
        "memory_mib": {
            "before": before >> 20,
            "most": max(samples, default=before) >> 20,
            "after": after >> 20,
            "growth": round(max(samples, default=before) / before - 1, 3),
        },
        "refusal_ms": summary(refused),
        "first_token_ms": {"capacity p99": round(calm * 1000, 1), "overload": summary(admitted)},
        "first_token_ratio": round(percentile(admitted, 0.99) / calm, 2) if admitted else None,
        **counts,
        "bad": bad(counts) + (not admitted) + (not refused),
    }
