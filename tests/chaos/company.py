# SPDX-License-Identifier: Apache-2.0
"""Clusters to be broken, and the hands that break them."""

import os
import signal

from users import now
from cluster import DEMO_MODEL, Cluster, children_of, topology, troupe, wait_until

VOCABULARY = 512  # of models/demo
MANY = 1_000_000  # restarts a rank may need: here they are ours, not its own


def scripted(nodes="a", tensor=2, step_ms=10, **more):
    """A topology whose engines need no weights: groups of `tensor` ranks, one on each node."""
    engine = {"max_sequences": 64, **more.pop("engine", {})}
    file = topology(
        model=DEMO_MODEL, nodes=nodes, tensor=tensor, weights=f"scripted:{step_ms}ms", engine=engine, restart_limit=MANY, **more
    )
    if "kv_blocks" in engine:
        del file["engine"]["kv_memory"]  # one or the other
    return file


def serves(cluster, node=None):
    """The status, when all groups serve."""
    result = troupe("status", "--json", "--node", (node or cluster.node).address, expect=None)
    if result.code != 0:
        return None
    status = result.json()
    return status if all(group["phase"] == "serving" for group in status["groups"]) else None


def wait_serving(cluster, node=None, limit=60):
    return wait_until(lambda: serves(cluster, node), limit, "all groups serve")


def members(status):
    """(group, rank, node, process) of every rank that serves."""
    return [
        (group["name"], member["rank"], member["node"], member["process"])
        for group in status["groups"]
        for member in group["ranks"]
    ]


def kill(pid, number=signal.SIGKILL):
    """Signals a process of ours; returns when, or None when it was gone already."""
    at = now()
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return None
    return at


def own_bytes(pid):
    """Memory without files: the flight record is a ring in a file, whose pages are touched one after the other."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            return sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Anonymous:"))
    except OSError:
        return 0


def open_files(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def zombies(pid):
    """Children of the process that have ended and were not waited for."""
    found = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        found += fields[0] == "Z" and int(fields[1]) == pid
    return found


__all__ = ["Cluster", "children_of"]
