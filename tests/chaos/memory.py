# SPDX-License-Identifier: Apache-2.0
"""What a node's memory grows by: with requests, with connections, with faults, one after the other."""

import random
import time

from company import VOCABULARY, Cluster, kill, members, own_bytes, scripted, troupe, wait_serving
from users import Users, bad, verdict


def requests(cluster, options, until):
    """Short requests as fast as they are answered; a tenth of them before the first look."""
    users = Users([cluster.node.address], users=8, seconds=10**6, seed=options.seed, scripted=VOCABULARY, max_tokens=4)
    begun, first, before = time.monotonic(), None, 0
    while time.monotonic() < until:
        time.sleep(0.5)
        if first is None and time.monotonic() - begun > (until - begun) / 10:
            first, before = own_bytes(cluster.node.pid), len(users.requests)
    users.stop()
    ended = users.finish(60)
    return len(ended) - before, own_bytes(cluster.node.pid) - first, bad(verdict(ended))


def repeated(cluster, until, what):
    """The same thing over and over; the first tenth of the time comes before the first look."""
    begun, count, before, first = time.monotonic(), 0, 0, None
    while time.monotonic() < until:
        what()
        count += 1
        if first is None and time.monotonic() - begun > (until - begun) / 10:
            first, before = own_bytes(cluster.node.pid), count
    return count - before, own_bytes(cluster.node.pid) - (first or 0), 0


def run(options):
    seconds = options.seconds or (10 if options.short else 300)
    dice = random.Random(options.seed)
    with Cluster(scripted(nodes="ab", tensor=2, step_ms=1)) as cluster:
        cluster.start()
        wait_serving(cluster)

        def ask_status():
            troupe("status", "--json", "--node", cluster.node.address)

        def kill_rank():
            kill(dice.choice(members(wait_serving(cluster)))[3])

        phases = {
            "request": lambda until: requests(cluster, options, until),
            "connection": lambda until: repeated(cluster, until, ask_status),
            "fault": lambda until: repeated(cluster, until, kill_rank),
        }
        result, wrong = {}, 0
        for name, phase in phases.items():
            count, grown, failed = phase(time.monotonic() + seconds)
            wrong += failed
            result[name] = {"count": count, "bytes_each": round(grown / max(count, 1), 1), "kib": round(grown / 1024)}
        result["node_mib_at_end"] = round(own_bytes(cluster.node.pid) / 2**20, 2)
    return {"test": f"memory of a node, {seconds} s a phase", "target": "flat", **result, "bad": wrong}
