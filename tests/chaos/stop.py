# SPDX-License-Identifier: Apache-2.0
"""SIGSTOP of ranks and nodes for 0.1 to 60 s, in several clusters at once: a process that comes back late changes nothing."""

import math
import random
import signal
import threading
import time

from company import VOCABULARY, Cluster, kill, members, scripted, wait_serving
from users import Users, bad, extra_gap, step_time, summary, verdict


def stop_and_go(count, longest, seed, results, faults):
    dice = random.Random(seed)
    stops = []
    with Cluster(scripted(nodes="ab", tensor=2)) as cluster:
        cluster.start()
        wait_serving(cluster)
        users = Users(
            [node.address for node in cluster.nodes.values()],
            users=4, seconds=10**6, seed=seed, scripted=VOCABULARY, max_tokens=150,
        )  # fmt: skip
        time.sleep(1)
        for _ in range(count):
            status = wait_serving(cluster)
            length = math.exp(dice.uniform(math.log(0.1), math.log(longest)))
            group, rank, node, process = dice.choice(members(status))
            of_node = node == "b" and dice.random() < 0.3
            pid = cluster.nodes["b"].pid if of_node else process
            role = "node" if of_node else "leader" if rank == 0 else "follower"
            at = kill(pid, signal.SIGSTOP)
            if at is None:
                continue
            stops.append((role, length, at))
            time.sleep(length)
            kill(pid, signal.SIGCONT)
            if of_node and not cluster.nodes["b"].child.running():
                cluster.begin("b").wait_ready()
        wait_serving(cluster)
        time.sleep(1)
        users.stop()
        requests = users.finish(150)
    step = step_time(requests)
    for role, length, at in stops:
        gap = extra_gap(requests, at, at + 3, step)
        if gap is not None:
            results.append((role, length, gap))
    faults.append(verdict(requests))


def run(options):
    clusters = 1 if options.short else 4
    longest = 2 if options.short else 60
    results, faults, problems = [], [], []

    def guarded(seed):
        try:
            stop_and_go(options.count // clusters, longest, seed, results, faults)
        except BaseException as problem:  # noqa: BLE001 - told below
            problems.append(problem)

    workers = [threading.Thread(target=guarded, args=(options.seed + i,)) for i in range(clusters)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if problems:
        raise problems[0]
    counts = {key: sum(fault[key] for fault in faults) for key in ("requests", "accepted", "whole", "wrong_tokens", "out_of_order")}
    counts["errors"] = sorted({error for fault in faults for error in fault["errors"]})
    roles = sorted({role for role, _, _ in results})
    return {
        "test": f"{len(results)} x SIGSTOP, 0.1 to {longest} s",
        "target": "0 zombie tokens accepted",
        "extra_gap_ms": {
            role: {
                "up to 0.4 s": summary(gap for r, length, gap in results if r == role and length <= 0.4),
                "longer": summary(gap for r, length, gap in results if r == role and length > 0.4),
            }
            for role in roles
        },
        **counts,
        "bad": bad(counts),
    }
