# SPDX-License-Identifier: Apache-2.0
"""The fixture of the process tests: the real program on loopback, bounded waits, and no process left behind.

    with Cluster(topology(tensor=2)) as cluster:
        cluster.start()
        print(cluster.ask("What is 27 + 15?").text)

TROUPE names the program; without it, build/release/troupe. With TROUPE_TEST_LOGS set, the logs are always shown. Only
processes that a test started, or that its nodes started, are ever signalled. Every wait has a limit, and one that is
reached says what was waited for and shows the log. TROUPE_TEST_PATIENCE multiplies all limits, for slow builds.
"""

import ctypes
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TROUPE = os.environ.get("TROUPE", str(ROOT / "build/release/troupe"))
DEMO_MODEL = ROOT / "models/demo"
TINY_MODELS = ROOT / "tests/data/models"

PATIENCE = float(os.environ.get("TROUPE_TEST_PATIENCE", "1"))
START_LIMIT = 60  # seconds until a node serves
ANSWER_LIMIT = 60  # seconds until a command has answered
END_LIMIT = 20  # seconds until a process that was told to end has ended
POLL = 0.02  # seconds between two looks at what has no descriptor to wait for


class Overdue(AssertionError):
    """A wait reached its limit."""


def wait_until(condition, limit, what):
    """Looks every POLL seconds; returns the condition's first true value."""
    limit *= PATIENCE
    end = time.monotonic() + limit
    while not (value := condition()):
        if time.monotonic() > end:
            raise Overdue(f"not within {limit} s: {what}")
        select.select([], [], [], POLL)
    return value


def free_port():
    """A port that was free a moment ago: for files with several nodes, where a port cannot be 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def topology(model=DEMO_MODEL, tensor=1, pipeline=1, nodes="a", http=False, isolation="process", engine=None, **more):
    """A topology file as a dictionary (written as JSON it is YAML): a group of tensor x pipeline ranks on each node."""
    several = len(nodes) > 1
    ranks = range(tensor * pipeline)
    file = {
        "cluster": "process-test",
        "model": str(model),
        "nodes": {name: {"address": "127.0.0.1", "port": free_port() if several else 0} for name in nodes},
        "groups": [
            {"name": f"g{i}", "tensor": tensor, "pipeline": pipeline, "ranks": [f"{node}/cpu:{r}" for r in ranks]}
            for i, node in enumerate(nodes)
        ],
        "isolation": isolation,
        "engine": {"threads": 1, "kv_memory": "64MiB", **(engine or {})},
        **more,
    }
    if http:
        for node in file["nodes"].values():
            node["http"] = "127.0.0.1:0"
    return file


class Result:
    def __init__(self, command, code, out, err):
        self.command, self.code, self.out, self.err = command, code, out, err
        self.text = out.removesuffix("\n")

    def __repr__(self):
        return (
            f"$ {' '.join(map(str, self.command))}\nexit code {self.code}\nstdout: {self.out!r}\nstderr: {self.err!r}"
        )

    def json(self):
        return json.loads(self.out)

    def json_lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


def die_with_parent():
    """In a child before exec: a test that is killed leaves nothing running."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def troupe(*arguments, stdin="", limit=ANSWER_LIMIT, expect=0):
    """Runs one command to its end. `expect` is its exit code, or None for any."""
    command = [TROUPE, *map(str, arguments)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent
    )
    try:
        limit *= PATIENCE
        out, err = process.communicate(stdin.encode(), timeout=limit)
    except subprocess.TimeoutExpired as overdue:
        process.kill()
        out, err = process.communicate()
        late = Result(command, process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
        raise Overdue(f"not ended within {limit} s:\n{late!r}") from overdue
    result = Result(command, process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
    if expect is not None and result.code != expect:
        raise AssertionError(f"exit code {expect} was expected:\n{result!r}")
    return result


def generate(model, *arguments, **how):
    """`troupe generate --json`: a list of answers, in the order of the prompts."""
    small = ("--kv-memory", "64MiB", "--threads", "1")
    return troupe("generate", "--model", model, "--json", *small, *arguments, **how).json_lines()


class Child:
    """A process in the background, read as it writes."""

    def __init__(self, command, stderr=subprocess.PIPE):
        self.command = command
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, preexec_fn=die_with_parent
        )
        self.pidfd = os.pidfd_open(self.process.pid)
        self.out = b""

    def read_until(self, bytes_min, limit=ANSWER_LIMIT):
        """Waits for that much standard output."""
        limit *= PATIENCE
        end = time.monotonic() + limit
        while len(self.out) < bytes_min:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise Overdue(f"{len(self.out)} of {bytes_min} bytes within {limit} s: {self.command}")
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise AssertionError(f"output ended after {len(self.out)} of {bytes_min} bytes: {self.finish()!r}")
            self.out += more

    def running(self):
        return self.process.poll() is None

    def finish(self, limit=ANSWER_LIMIT):
        """Waits for the end and returns everything as a Result."""
        try:
            limit *= PATIENCE
            out, err = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired as overdue:
            self.stop()
            raise Overdue(f"not ended within {limit} s: {self.command}; had written {self.out!r}") from overdue
        text = (self.out + (out or b"")).decode(errors="replace")
        return Result(self.command, self.process.returncode, text, (err or b"").decode(errors="replace"))

    def stop(self):
        if self.running():
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def process_state(pid):
    """(parent, start time) of a process that is neither gone nor a zombie, else None."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (int(fields[1]), int(fields[19]))


def children_of(pid):
    """{process id: start time} of the living children."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (state := process_state(entry)) and state[0] == pid:
            found[int(entry)] = state[1]
    return found


class Node:
    """One `troupe node`."""

    def __init__(self, name, folder, file, arguments):
        self.name = name
        self.ready_file = folder / f"{name}.ready.json"
        self.ready_file.unlink(missing_ok=True)  # of an earlier run
        runs = len(list(folder.glob(f"{name}.*.log")))
        self.log_file = folder / f"{name}.{runs}.log"
        command = [
            TROUPE,
            "node",
            "--topology",
            str(file),
            "--name",
            name,
            "--ready-file",
            str(self.ready_file),
            "--state-dir",
            str(folder / f"{name}.state"),
            *arguments,
        ]
        with open(self.log_file, "wb") as log:
            self.child = Child(command, stderr=log)
        self.pid = self.child.process.pid
        self.ready = {}
        self.known_ranks = {}  # process id: start time, of every rank that was ever seen
        self.hangs = False  # a test has waited for its end in vain

    @property
    def address(self):
        return self.ready["node"]

    @property
    def http(self):
        return self.ready["http"]

    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_ready(self, limit=START_LIMIT):
        limit *= PATIENCE
        end = time.monotonic() + limit
        while not self.ready_file.exists():
            ended, _, _ = select.select([self.child.pidfd], [], [], POLL)
            if ended:
                raise AssertionError(
                    f"node {self.name} ended with {self.child.process.wait()} before it served:\n{self.log()}"
                )
            if time.monotonic() > end:
                self.hangs = True
                raise Overdue(f"node {self.name} did not serve within {limit} s:\n{self.log()}")
        self.ready = json.loads(self.ready_file.read_text())
        self.look_at_ranks()
        return self

    def look_at_ranks(self):
        """Process ids of the ranks now; each is remembered, so that none can be left behind."""
        now = children_of(self.pid)
        self.known_ranks.update(now)
        return list(now)

    def living_ranks(self):
        """Of all ranks ever seen: those that live, whoever their parent is now."""
        return [pid for pid, start in self.known_ranks.items() if (state := process_state(pid)) and state[1] == start]

    def signal(self, number):
        self.look_at_ranks()
        signal.pidfd_send_signal(self.child.pidfd, number)

    def wait_end(self, limit=END_LIMIT):
        """The exit code."""
        try:
            limit *= PATIENCE
            return self.child.process.wait(timeout=limit)
        except subprocess.TimeoutExpired as overdue:
            self.hangs = True
            raise Overdue(f"node {self.name} did not end within {limit} s:\n{self.log()}") from overdue

    def wait_ranks_gone(self, limit=END_LIMIT):
        wait_until(lambda: not self.living_ranks(), limit, f"end of the ranks of node {self.name}")

    def end(self, patience=END_LIMIT):
        """Ends it in whatever state it is; returns what did not end as it should, each in a sentence."""
        problems = []
        if self.child.running() and not self.hangs:
            self.look_at_ranks()
            self.child.process.terminate()
            try:
                self.child.process.wait(timeout=patience)
            except subprocess.TimeoutExpired:
                problems.append(f"node {self.name} did not end by SIGTERM within {patience} s")
        self.look_at_ranks()
        self.child.stop()
        try:
            self.wait_ranks_gone(limit=5)
        except Overdue:
            problems.append(f"ranks outlived node {self.name}: {self.living_ranks()}")
            for pid in self.living_ranks():
                os.kill(pid, signal.SIGKILL)
        return problems


class Cluster:
    """The nodes of one topology file in a folder of their own. Leaving it ends all; it is an error if a rank stays."""

    def __init__(self, file):
        self.file = file
        self.nodes = {}
        self.asked = []

    def __enter__(self):
        self.folder_owner = tempfile.TemporaryDirectory(prefix="troupe-test-")
        self.folder = pathlib.Path(self.folder_owner.name)
        self.path = self.write("topology.yaml", self.file)
        return self

    def __exit__(self, kind, error, trace):
        for child in self.asked:
            child.stop()
        patience = END_LIMIT if kind is None else 3  # a test that has failed need not wait for a node that hangs
        problems = [problem for node in self.nodes.values() for problem in node.end(patience)]
        if kind is not None or problems or "TROUPE_TEST_LOGS" in os.environ:
            for name, node in self.nodes.items():
                print(f"--- log of node {name}, its last lines\n{node.log()[-6000:]}", file=sys.stderr)
        self.folder_owner.cleanup()
        if problems and kind is None:
            raise AssertionError("; ".join(problems))

    def write(self, name, content):
        """A file beside the others; a dictionary becomes JSON."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        path.chmod(0o644)
        return path

    def begin(self, name=None, arguments=(), file=None):
        """Starts a node and does not wait for it."""
        name = name or next(iter(self.file["nodes"]))
        old = self.nodes.get(name)
        node = Node(name, self.folder, file or self.path, arguments)
        if old:
            node.known_ranks.update(old.known_ranks)
            old.child.stop()
        self.nodes[name] = node
        return node

    def start(self, arguments=()):
        """Starts all nodes and waits until all serve."""
        begun = [self.begin(name, arguments) for name in self.file["nodes"]]
        for node in begun:
            node.wait_ready()
        return self

    @property
    def node(self):
        return next(iter(self.nodes.values()))

    def status(self, node=None):
        return troupe("status", "--json", "--node", (node or self.node).address).json()

    def group(self, name="g0", node=None):
        return next(group for group in self.status(node)["groups"] if group["name"] == name)

    def rank_process(self, rank, group="g0"):
        """The process id of a rank, which must be a child of one of our nodes."""
        member = next(member for member in self.group(group)["ranks"] if member["rank"] == rank)
        node = self.nodes[member["node"]]
        assert member["process"] in node.look_at_ranks(), f"{member} is no child of node {node.name}"
        return member["process"]

    def signal_rank(self, rank, number, group="g0"):
        pid = self.rank_process(rank, group)
        os.kill(pid, number)
        return pid

    def ask(self, question, *arguments, node=None, **how):
        return troupe("ask", "--quiet", "--node", (node or self.node).address, *arguments, question, **how)

    def ask_streaming(self, question, *arguments, node=None):
        """An `ask` in the background."""
        child = Child([TROUPE, "ask", "--quiet", "--node", (node or self.node).address, *arguments, question])
        self.asked.append(child)
        return child

    def wait_for_status(self, condition, what, node=None, limit=START_LIMIT):
        """Asks again until the status fulfils the condition; returns it."""

        def look():
            status = self.status(node)
            return status if condition(status) else None

        return wait_until(look, limit, what)


# A random model that answers this question to the end of its context: two thousand tokens, seconds of work.
LONG_MODEL = TINY_MODELS / "qwen3-tiny"
LONG_QUESTION = "Tell me a story."


def long_answer():
    answer = generate(LONG_MODEL, "--chat", "--prompt", LONG_QUESTION, "--max-tokens", 0)[0]
    assert len(answer["ids"]) > 2000 and "\0" not in answer["text"], "the question has another answer than it had"
    return answer["text"]


def begin_long_answer(cluster, node=None):
    """Returns when the answer's beginning has come."""
    child = cluster.ask_streaming(LONG_QUESTION, node=node)
    child.read_until(20)
    return child


class TestCase(unittest.TestCase):
    """What the tests of this folder share."""

    longMessage = True
    maxDiff = 2000

    def enter_cluster(self, *arguments, **settings):
        """A started cluster that ends with the test."""
        return self.enterContext(Cluster(topology(*arguments, **settings))).start()

    def assert_one_error(self, result, *words, code=None):
        """A failure code and exactly one error on standard error, with all these words."""
        self.assertNotEqual(result.code, 0, result)
        if code is not None:
            self.assertEqual(result.code, code, result)
        self.assertEqual(result.err.count("error:"), 1, result)
        for word in words:
            self.assertIn(word, result.err, result)


def main():
    if not os.access(TROUPE, os.X_OK):
        sys.exit(f"no program at {TROUPE}; build it (./dev build) or name it in TROUPE")
    unittest.main(verbosity=2)
