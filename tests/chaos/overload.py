# SPDX-License-Identifier: Apache-2.0
"""Ten times as many requests as a cluster can serve: bounded memory, quick refusals, and no worse for the admitted.

Three loads of the same prompts on one cluster: users who each ask again at once, as many as there are places (what the
cluster can do, and the first token at that); arrivals at nine tenths of that rate, of which none may be refused; and
arrivals at ten times it."""

import threading
import time

from company import VOCABULARY, Cluster, children_of, scripted, wait_serving
from users import Users, bad, percentile, summary, verdict

SHAPE = {"prompt_tokens": 64, "max_tokens": 64, "scripted": VOCABULARY}
PLACES, STEP_MS = 16, 20
# A step of this engine takes 20 ms, and a request that finds a place has its first token after two or three of them.
MAX_WAIT_MS = 60


def own_bytes(pid):
    """Memory without files: the flight record is a ring in a file, whose pages are touched one after the other."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            return sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Anonymous:"))
    except OSError:
        return 0


def memory(node):
    return sum(own_bytes(pid) for pid in [node.pid, *children_of(node.pid)])


def tokens_between(requests, begin, end):
    """Tokens a second that came between the two times."""
    return sum(count for r in requests for at, count in r.pieces if begin <= at < end) / (end - begin)


def first_tokens(requests):
    return [r.first_token_after() for r in requests if r.accepted is not None and r.pieces]


def steady(requests):
    """(begin, end) of the time in which all users were busy: the first and last second are left out."""
    return min(r.arrival for r in requests) + 1, max(r.arrival for r in requests) - 1


def run(options):
    seconds = options.seconds or (15 if options.short else 300)
    engine = {"max_sequences": PLACES, "kv_blocks": 512, "max_wait": MAX_WAIT_MS}
    samples = []
    with Cluster(scripted(nodes="a", tensor=2, step_ms=STEP_MS, engine=engine)) as cluster:
        cluster.start()
        wait_serving(cluster)
        address = [cluster.node.address]
        calm_seconds = max(10, seconds / 10)
        full = Users(address, users=PLACES, seconds=calm_seconds, seed=options.seed, **SHAPE).finish(120)
        able = tokens_between(full, *steady(full))
        rate = able / SHAPE["max_tokens"]
        below = Users(
            address, users=200, rate=0.9 * rate, seconds=calm_seconds, seed=options.seed + 1, **SHAPE
        ).finish(120)
        before = memory(cluster.node)
        over = threading.Event()

        def watch():
            while not over.wait(1):
                samples.append(memory(cluster.node))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            flood = Users(
                address, users=1000, rate=10 * rate, seconds=seconds, seed=options.seed + 2, **SHAPE
            ).finish(seconds + 300)
        finally:
            over.set()
            watcher.join()
        time.sleep(1)
        after = memory(cluster.node)
    counts = verdict(flood)
    below_counts = verdict(below)
    refused = [r.ended - r.begun for r in flood if r.accepted is None]
    calm, admitted = first_tokens(full), first_tokens(flood)
    served = tokens_between(flood, *steady(flood))
    return {
        "test": f"overload: {10 * rate:.0f} requests/s for {seconds} s where {rate:.1f} can be served",
        "target": "memory +10 %, refusals p99 50 ms, admitted first token p99 at most 2x",
        "memory_mib": {
            "before": before >> 20,
            "most": max(samples, default=before) >> 20,
            "after": after >> 20,
            "growth": round(max(samples, default=before) / before - 1, 3),
            "course": [round(each / (1 << 20), 1) for each in samples[:: max(1, len(samples) // 20)]],
        },
        "refusal_ms": summary(refused),
        "first_token_ms": {
            "at capacity": summary(calm),
            "at 0.9 of it": summary(first_tokens(below)),
            "overload": summary(admitted),
        },
        "first_token_ratio": round(percentile(admitted, 0.99) / percentile(calm, 0.99), 2) if admitted else None,
        "tokens_per_second": {"capacity": round(able, 1), "overload": round(served, 1), "share": round(served / able, 3)},
        "refused_at_capacity": sum(r.accepted is None for r in full),
        "refused_at_0.9": below_counts["refused"],
        **counts,
        "bad": bad(counts) + bad(below_counts) + bad(verdict(full)) + (not admitted) + (not refused),
    }
