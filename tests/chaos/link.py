# SPDX-License-Identifier: Apache-2.0
"""Two machines, as network namespaces joined by one cable: the cable is cut, flaps, or carries one way only.

The side without the topology actor must fall silent within its lease, and must not emit what the other side has taken
over: its group has a spare on the first machine.
"""

import os
import random
import subprocess
import time

from company import VOCABULARY, Cluster, scripted
import cluster as fixture
from cluster import TROUPE, Child, wait_until
from users import Users, bad, extra_gap, now, step_time, summary, verdict

ADDRESSES = {"a": "10.213.7.1", "b": "10.213.7.2"}


def shell(*words, check=True):
    return subprocess.run(words, check=check, capture_output=True, text=True)


class Cable:
    """Namespaces a and b and a veth pair between them; both are removed at the end."""

    def __init__(self):
        self.names = {side: f"troupe-{os.getpid()}-{side}" for side in ADDRESSES}

    def __enter__(self):
        for side, name in self.names.items():
            shell("ip", "netns", "add", name)
        a, b = (self.names[side] for side in "ab")
        shell("ip", "link", "add", "cable", "netns", a, "type", "veth", "peer", "name", "cable", "netns", b)
        for side, name in self.names.items():
            shell("ip", "-n", name, "addr", "add", f"{ADDRESSES[side]}/24", "dev", "cable")
            for device in ("lo", "cable"):
                shell("ip", "-n", name, "link", "set", device, "up")
        return self

    def __exit__(self, *error):
        for name in self.names.values():
            shell("ip", "netns", "del", name, check=False)

    def within(self, side):
        return ["ip", "netns", "exec", self.names[side]]

    def cut(self):
        shell("ip", "-n", self.names["b"], "link", "set", "cable", "down")

    def mend(self):
        shell("ip", "-n", self.names["b"], "link", "set", "cable", "up")

    def mute(self, side):
        """Nothing leaves that side any more; what comes to it still arrives."""
        other = ADDRESSES["b" if side == "a" else "a"]
        shell("ip", "-n", self.names[side], "route", "add", "blackhole", f"{other}/32")

    def unmute(self, side):
        other = ADDRESSES["b" if side == "a" else "a"]
        shell("ip", "-n", self.names[side], "route", "del", "blackhole", f"{other}/32", check=False)


class SeparateNodes(Cluster):
    """A cluster whose nodes live in the cable's namespaces."""

    def __init__(self, file, cable):
        super().__init__(file)
        self.cable = cable

    def start_at(self, name):
        program = self.folder / f"troupe-{name}"
        program.write_text("#!/bin/sh\nexec " + " ".join(self.cable.within(name)) + f' {TROUPE} "$@"\n')
        program.chmod(0o755)
        before, fixture.TROUPE = fixture.TROUPE, str(program)
        try:
            return self.begin(name, ("--insecure",))
        finally:
            fixture.TROUPE = before


def status_of(cluster, name):
    command = [*cluster.cable.within(name), TROUPE, "status", "--json", "--node", cluster.nodes[name].address]
    child = Child(command)
    result = child.finish(20)
    return result.json() if result.code == 0 else None


def wait_serving(cluster, limit=60):
    def look():
        status = status_of(cluster, "a")
        return status if status and all(group["phase"] == "serving" for group in status["groups"]) else None

    return wait_until(look, limit, "all groups serve")


def run(options):
    if os.geteuid() != 0 or shell("ip", "netns", "list", check=False).returncode != 0:
        return {"skipped": "network namespaces need root"}
    dice = random.Random(options.seed)
    file = scripted(nodes="ab", tensor=1, startup_timeout_s=120, spares=["a/cpu:9"])
    for name, address in ADDRESSES.items():
        file["nodes"][name] = {"address": address, "port": 4242}
    silences, extra, cuts = [], [], []
    with Cable() as cable, SeparateNodes(file, cable) as cluster:
        for name in ADDRESSES:
            cluster.start_at(name)
        for node in cluster.nodes.values():
            node.wait_ready()
        wait_serving(cluster)
        both = [cluster.nodes[name].address for name in "ab"]
        common = {"seconds": 10**6, "scripted": VOCABULARY, "max_tokens": 150}
        users = {
            # Each side's users reach their own node; those of b also know a, for when b says that it cannot serve.
            "a": Users(both[:1], cable.within("a"), users=4, seed=options.seed, **common),
            "b": Users(both[::-1], cable.within("b"), users=4, seed=options.seed + 1, **common),
        }
        time.sleep(1)
        for index in range(options.count):
            how = ("cut", "flap", "mute a", "mute b")[index % 4]
            wait_serving(cluster)
            time.sleep(dice.uniform(0, 0.5))
            at = now()
            if how == "cut":
                cable.cut()
                time.sleep(dice.uniform(1.5, 4))
                cable.mend()
            elif how == "flap":
                for _ in range(dice.randrange(2, 6)):
                    cable.cut()
                    time.sleep(dice.uniform(0.05, 0.8))
                    cable.mend()
                    time.sleep(dice.uniform(0.05, 0.8))
            else:
                cable.mute(how[-1])
                time.sleep(dice.uniform(1.5, 4))
                cable.unmute(how[-1])
            cuts.append((how, at, now()))
            if not cluster.nodes["b"].child.running():
                cluster.start_at("b").wait_ready()
        wait_serving(cluster)
        time.sleep(1)
        for side in users.values():
            side.stop()
        requests = {side: each.finish(150) for side, each in users.items()}
    step = step_time(requests["a"] + requests["b"])
    for how, at, mended in cuts:
        if how == "cut":
            # The last piece that b's users got while the cable was cut, after which there was silence till it was mended.
            times = [t for r in requests["b"] for t, _ in r.pieces if at <= t < mended]
            silences.append(max(times, default=at) - at)
        if (gap := extra_gap(requests["a"], at, mended + 2, step)) is not None:
            extra.append(gap)
    counts = {side: verdict(each) for side, each in requests.items()}
    return {
        "test": f"{len(cuts)} x cable cut, flapping, one way, between network namespaces",
        "target": "minority silent in 1.1 s; no overlapping emission",
        "minority_silent_after_ms": summary(silences),
        "extra_gap_of_majority_ms": summary(extra),
        **counts,
        "bad": sum(bad(each) for each in counts.values()),
    }

