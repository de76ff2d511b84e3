# SPDX-License-Identifier: Apache-2.0
"""A busy machine is no loss: a cluster beside eight processes that never rest keeps its epochs.

Whatever else keeps the machine busy will do as well (`--load 0`); the load average is told.
"""

import os
import subprocess
import sys
import time

from company import VOCABULARY, Cluster, scripted, wait_serving
from cluster import die_with_parent
from users import Users, bad, verdict


def run(options):
    seconds = options.seconds or (20 if options.short else 3600)
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=die_with_parent) for _ in range(options.load)
    ]
    try:
        with Cluster(scripted(nodes="ab", tensor=2, step_ms=20)) as cluster:
            cluster.start()
            before = [group["epoch"] for group in wait_serving(cluster)["groups"]]
            users = Users(
                [node.address for node in cluster.nodes.values()],
                users=2, seconds=seconds, seed=options.seed, scripted=VOCABULARY, max_tokens=100,
            )  # fmt: skip
            begun = time.monotonic()
            requests = users.finish(seconds + 120)
            minutes = (time.monotonic() - begun) / 60
            load = os.getloadavg()
            after = [group["epoch"] for group in wait_serving(cluster)["groups"]]
    finally:
        for process in busy:
            process.kill()
            process.wait()
    counts = verdict(requests)
    false_alarms = sum(a != b for a, b in zip(before, after, strict=True))
    return {
        "test": f"{minutes:.1f} min beside {options.load} processes that never rest",
        "target": "no false alarm in 1 h at load 8",
        "load_average": {"1 min": round(load[0], 1), "15 min": round(load[2], 1)},
        "false_alarms": false_alarms,
        **counts,
        "bad": bad(counts) + false_alarms,
    }
