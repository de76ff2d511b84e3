# SPDX-License-Identifier: Apache-2.0
"""Users of a cluster that is being broken: what load_client recorded, and what is read from it."""

import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))
from cluster import TROUPE, Overdue, die_with_parent  # noqa: E402

LOAD_CLIENT = os.environ.get("TROUPE_LOAD_CLIENT", str(pathlib.Path(TROUPE).parent / "load_client"))
NANOSECONDS = 1e9


def now():
    """Seconds on the clock of the records."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) / NANOSECONDS


class Request:
    """One line of the record; times in seconds."""

    def __init__(self, line):
        self.index = line["request"]
        self.arrival, self.begun = line["arrival"] / NANOSECONDS, line["begun"] / NANOSECONDS
        self.accepted = line["accepted"] / NANOSECONDS if "accepted" in line else None
        self.ended = line["ended"] / NANOSECONDS
        self.refused, self.error = line.get("refused"), line.get("error")
        self.sentence = line.get("sentence", "")
        self.finish = line.get("finish")
        self.in_order, self.foretold = line["in_order"], line.get("foretold", True)
        self.pieces = [(at / NANOSECONDS, count) for at, count in line["pieces"]]
        self.tokens = line["tokens"]
        self.margins = line.get("margins", [])

    @property
    def whole(self):
        return self.finish in ("length", "stop") and self.in_order and self.foretold

    def first_token_after(self):
        return self.pieces[0][0] - self.arrival if self.pieces else None

    def gaps(self):
        """(begin, length) of the silence before each piece but the first."""
        times = [at for at, _ in self.pieces]
        return [(before, after - before) for before, after in zip(times, times[1:])]


class Users:
    """load_client in the background. Its end is waited for by `finish`."""

    def __init__(self, nodes, prefix=(), **options):
        command = [*prefix, LOAD_CLIENT]
        for node in nodes:
            command += ["--node", node]
        for name, value in options.items():
            if value is True:
                command.append("--" + name.replace("_", "-"))
                continue
            for each in value if isinstance(value, (list, tuple)) else [value]:
                command += ["--" + name.replace("_", "-"), str(each)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=die_with_parent, text=True
        )
        self.requests = []
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not self.ready.wait(30):
            raise Overdue("load_client did not reach the cluster")
        if self.process.poll() not in (None, 0):
            raise AssertionError(f"load_client ended with {self.process.returncode}")

    def _read(self):
        for line in self.process.stdout:
            record = json.loads(line)
            if "ready" not in record:
                self.requests.append(Request(record))
            self.ready.set()
        self.ready.set()

    def running(self):
        return self.process.poll() is None

    def stop(self):
        """No new requests; what was begun goes on to its end."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)

    def finish(self, limit):
        """All requests, once they have ended."""
        try:
            self.process.wait(timeout=limit)
        except subprocess.TimeoutExpired as overdue:
            self.process.kill()
            raise Overdue(f"requests had not ended after {limit} s: they are stuck") from overdue
        self.reader.join(10)
        return sorted(self.requests, key=lambda request: request.index)


def percentile(values, share):
    """The value that `share` of the values do not exceed; None of none."""
    if not values:
        return None
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def summary(values, unit=1000.0, digits=1):
    """{p50, p99, max, n} of seconds, by default in milliseconds."""
    values = list(values)
    if not values:
        return {"n": 0}
    scale = lambda value: round(value * unit, digits)
    return {
        "p50": scale(percentile(values, 0.5)),
        "p99": scale(percentile(values, 0.99)),
        "max": scale(max(values)),
        "n": len(values),
    }


def step_time(requests):
    """The median silence between two pieces."""
    gaps = [length for request in requests for _, length in request.gaps()]
    return statistics.median(gaps) if gaps else 0.0


def extra_gap(requests, at, until, step):
    """The longest silence of any stream that lived at `at`, begun before `until`, less a step's; None without streams."""
    longest = [
        length - step
        for request in requests
        if request.pieces and request.pieces[0][0] < at < request.pieces[-1][0]
        for begin, length in request.gaps()
        if begin + length > at and begin < until
    ]
    return max(longest, default=None)


def verdict(requests):
    """Counts of what must not be: every accepted request ends whole."""
    accepted = [request for request in requests if request.accepted is not None]
    broken = [request for request in accepted if not request.whole]
    return {
        "requests": len(requests),
        "accepted": len(accepted),
        "whole": len(accepted) - len(broken),
        "refused": len(requests) - len(accepted),
        "wrong_tokens": sum(not request.foretold for request in accepted),
        "out_of_order": sum(not request.in_order for request in accepted),
        "refused_with": sorted({request.refused for request in requests if request.refused}),
        "errors": sorted({f"{request.error}: {request.sentence}"[:160] for request in broken if request.error}),
        "tokens": sum(len(request.tokens) for request in requests),
    }


def bad(counts):
    return counts["accepted"] - counts["whole"]
