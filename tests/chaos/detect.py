# SPDX-License-Identifier: Apache-2.0
"""How long until a loss is noticed: from the signal to the node's log line (log clock: 1 ms)."""

import datetime
import re
import signal
import time

from company import Cluster, kill, members, scripted, wait_serving
from cluster import troupe, wait_until
from users import summary

STAMP = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) .*\| (\S+) (.*)$")


def log_times(node, event, words):
    """Wall-clock times of the log's lines of that event with one of these words."""
    for line in node.log().splitlines():
        found = STAMP.match(line)
        if found and found[2] == event and set(words) & set(found[3].split()):
            yield datetime.datetime.fromisoformat(found[1]).timestamp()


def places(status):
    """By group and rank, as the node's log names them."""
    return {
        (group["name"], member["rank"]): f"place={member['node']}/{member['device']}"
        for group in status["groups"]
        for member in group["ranks"]
    }


def noticed(node, events, words, since):
    def look():
        times = [at for event in events for at in log_times(node, event, words) if at >= since - 0.002]
        return min(times, default=None)

    return max(0.0, wait_until(look, 30, f"{events} in the log of node {node.name}") - since)


def run(options):
    found = {"exit": [], "stop": [], "hang": []}
    with Cluster(scripted(nodes="a", tensor=2, allow_faults=True)) as cluster:
        cluster.start()
        for index in range(options.count):
            for how in found:
                status = wait_serving(cluster)
                group, rank, _, process = members(status)[index % 2]
                place = places(status)[group, rank]
                time.sleep(0.2)
                since = time.time()
                if how == "hang":
                    cluster.ask("go on", "--max-tokens", "2")  # a first step may take ten times as long
                    troupe("inject", "hang", f"{group}/{rank}", "--node", cluster.node.address)
                    since = time.time()
                    cluster.ask_streaming("go on", "--max-tokens", "50")
                    events, words = ("rank-failed", "rank-exited"), (f"rank={rank}", place)
                else:
                    kill(process, signal.SIGKILL if how == "exit" else signal.SIGSTOP)
                    events, words = ("rank-exited", "rank-silent", "rank-failed"), (place, f"group={group}")  # or a peer
                found[how].append(noticed(cluster.node, events, words, since))
                time.sleep(0.3)
    return {
        "test": f"detection, {options.count} x exit, stop, hang",
        "target": "exit 50 ms, stop 600 ms, hang 2.2 s",
        "detection_ms": {how: summary(values) for how, values in found.items()},
        "bad": 0,
    }
