# SPDX-License-Identifier: Apache-2.0
"""Hours in a minute: faults at a steady pace, and nothing that grows."""

import random
import signal
import time

from company import VOCABULARY, Cluster, children_of, kill, members, open_files, own_bytes, scripted, wait_serving, zombies
from users import Users, bad, verdict


def slope(samples):
    """Least squares: units a second."""
    n = len(samples)
    if n < 3:
        return 0.0
    mean_t = sum(t for t, _ in samples) / n
    mean_v = sum(v for _, v in samples) / n
    spread = sum((t - mean_t) ** 2 for t, _ in samples)
    return sum((t - mean_t) * (v - mean_v) for t, v in samples) / spread


def run(options):
    seconds = options.seconds or (40 if options.short else 3600)
    pace = 8 if options.short else 15
    dice = random.Random(options.seed)
    node_bytes, node_files, left = [], [], 0
    faults = 0
    with Cluster(scripted(nodes="ab", tensor=2, step_ms=15)) as cluster:
        cluster.start()
        wait_serving(cluster)
        users = Users(
            [node.address for node in cluster.nodes.values()],
            users=6, seconds=10**6, seed=options.seed, scripted=VOCABULARY, max_tokens=150,
        )  # fmt: skip
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            time.sleep(pace)
            status = wait_serving(cluster)
            pid = cluster.node.pid
            if passed > seconds / 6:  # what is filled once is filled by then
                node_bytes.append((passed, own_bytes(pid)))
                node_files.append((passed, open_files(pid)))
            left = max(left, zombies(pid))
            process = dice.choice(members(status))[3]
            how = dice.choice(("kill", "kill", "stop", "node"))
            faults += 1
            if how == "kill":
                kill(process)
            elif how == "stop":
                kill(process, signal.SIGSTOP)
                time.sleep(dice.uniform(0.1, 2))
                kill(process, signal.SIGCONT)
            else:
                kill(cluster.nodes["b"].pid)
                cluster.nodes["b"].wait_end()
                cluster.begin("b").wait_ready()
        wait_serving(cluster)
        ranks = len(children_of(cluster.node.pid))
        users.stop()
        requests = users.finish(150)
    counts = verdict(requests)
    return {
        "test": f"soak: {seconds} s, {faults} faults",
        "target": "0 bad, memory slope flat, file descriptors and zombies flat",
        "node_memory": {
            "mib": round(node_bytes[-1][1] / 2**20, 2) if node_bytes else None,
            "slope_mib_per_hour": round(slope(node_bytes) * 3600 / 2**20, 2),
        },
        "node_files": {
            "open": node_files[-1][1] if node_files else None,
            "slope_per_hour": round(slope(node_files) * 3600, 1),
        },
        "zombies_most": left,
        "ranks_at_end": ranks,
        **counts,
        "bad": bad(counts) + left,
    }
