#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a node does about its rank processes: they end with it, they are replaced, and a hung engine is noticed."""

import ctypes
import os
import pathlib
import platform
import re
import select
import signal
import sys
import time
import unittest

from cluster import LONG_MODEL, Cluster, TestCase, begin_long_answer, long_answer, main, topology, wait_until

PTRACE_CONT, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 7, 0x4206, 0x4207, 0x40000000
FUTEX = {"x86_64": "202", "aarch64": "98"}[platform.machine()]  # the system call's number


def processes_of(path):
    """Living processes whose command line names this topology file."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            state = pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if str(path).encode() in words and state not in "ZX":
            found.append(int(entry))
    return found


def zombies_of(parent):
    """Children that have ended and were not collected."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] == "Z" and int(fields[1]) == parent:
            found.append(int(entry))
    return found


def descriptors(pid):
    """{number: what it leads to}"""
    folder = pathlib.Path(f"/proc/{pid}/fd")
    return {int(entry.name): os.readlink(entry) for entry in folder.iterdir()}


def busiest_thread(pid):
    def work(tid):
        fields = pathlib.Path(f"/proc/{pid}/task/{tid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = {tid: work(tid) for tid in os.listdir(f"/proc/{pid}/task")}
    wait_until(lambda: any(work(tid) - before[tid] > 5 for tid in before), 10, "a thread that works")
    return int(max(before, key=lambda tid: work(tid) - before[tid]))


class StoppedThread:
    """One thread of a process that is not ours stands still while it computes; the others go on."""

    def __init__(self, tid):
        self.tid = tid
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.trace(PTRACE_SEIZE)
        for _ in range(1000):
            self.trace(PTRACE_INTERRUPT)
            os.waitpid(tid, WALL)
            if not self.waits_for_others():
                return
            self.trace(PTRACE_CONT)
            select.select([], [], [], 0.001)  # another moment
        raise AssertionError("the thread was never seen to compute")

    def trace(self, request):
        if self.libc.ptrace(request, self.tid, None, None) != 0:
            raise unittest.SkipTest(f"ptrace is not permitted here: {os.strerror(ctypes.get_errno())}")

    def waits_for_others(self):
        """It sleeps until another rank has come as far; stopped there it is no engine that hangs."""
        return pathlib.Path(f"/proc/{self.tid}/syscall").read_text().split()[0] == FUTEX

    def ended(self):
        """A thread that was killed goes only when its tracer has taken note."""
        try:
            tid, status = os.waitpid(self.tid, WALL | os.WNOHANG)
        except ChildProcessError:
            return True
        return tid != 0 and (os.WIFSIGNALED(status) or os.WIFEXITED(status))


class Supervision(TestCase):
    def test_ranks_end_with_their_node_whenever_it_is_killed(self):
        """From before the first rank is launched until all serve."""
        for delay in (0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0):
            with self.subTest(delay=delay), Cluster(topology(tensor=2, model=LONG_MODEL)) as cluster:
                node = cluster.begin()
                select.select([], [], [], delay)  # the moment is what is varied
                node.signal(signal.SIGKILL)
                node.wait_end()
                wait_until(lambda path=cluster.path: not processes_of(path), 1, "the end of all ranks")

    def test_a_rank_has_only_its_own_descriptors(self):
        cluster = self.enter_cluster(tensor=2, http=True)
        theirs = {target for target in descriptors(cluster.node.pid).values() if target.startswith("socket:")}
        for pid in cluster.node.look_at_ranks():
            own = descriptors(pid)
            self.assertEqual(own[0], "/dev/null")
            self.assertEqual(own[1], own[2])
            self.assertFalse(theirs & set(own.values()), "a socket of the node was inherited")

    def test_ended_ranks_leave_no_zombie_and_the_log_says_how_they_ended(self):
        cluster = self.enter_cluster()
        for number, words in ((signal.SIGKILL, "killed by signal 9"), (signal.SIGSEGV, "killed by signal 11")):
            before = cluster.group()["epoch"]
            cluster.signal_rank(0, number)
            cluster.wait_for_status(
                lambda s, old=before: s["groups"][0]["epoch"] > old and s["groups"][0]["phase"] == "serving", "recovery"
            )
            self.assertIn(words, cluster.node.log())
            self.assertEqual(zombies_of(cluster.node.pid), [])

    def test_a_hung_engine_is_noticed_while_its_process_answers_and_the_answer_is_whole(self):
        expected = long_answer()
        for shape in ({}, {"tensor": 2}):
            with self.subTest(shape=shape):
                cluster = self.enter_cluster(model=LONG_MODEL, **shape)
                child = begin_long_answer(cluster)
                stopped = StoppedThread(busiest_thread(cluster.rank_process(0)))
                begin = time.monotonic()
                wait_until(lambda: "the engine hangs" in cluster.node.log(), 10, "the hang is noticed")
                print(f"hang noticed after {time.monotonic() - begin:.2f} s", file=sys.stderr)
                self.assertRegex(cluster.node.log(), r"the engine hangs: step \d+ made no progress")
                blamed = set(re.findall(r"rank-failed group=g0 rank=(\d+).*the engine hangs", cluster.node.log()))
                self.assertEqual(blamed, {"0"}, "a rank that only waited was blamed")
                wait_until(stopped.ended, 10, "the end of the hung rank")
                result = child.finish(30)
                self.assertEqual((result.code, result.text == expected), (0, True), result.err)

    def test_an_idle_group_is_never_hung(self):
        cluster = self.enter_cluster(engine={"hang_timeout": 100})
        epoch = cluster.group()["epoch"]
        select.select([], [], [], 3)  # nothing must happen meanwhile
        self.assertEqual(cluster.group()["epoch"], epoch)
        self.assertNotIn("hangs", cluster.node.log())


if __name__ == "__main__":
    main()
