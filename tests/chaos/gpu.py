# SPDX-License-Identifier: Apache-2.0
"""kill -9 and SIGSTOP of the ranks of a group on two CUDA devices: every stream ends whole and right, and where a pause goes.

The weights are read from files of the shape of Qwen3-8B, written before: 16 GB in TMPDIR, or in TROUPE_GPU_FOLDER, which
is kept. TROUPE_GPU_WEIGHTS=random:NAME makes them on the device instead.
"""

import contextlib
import datetime
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

from company import DEMO_MODEL, MANY, Cluster, kill, members, serves, topology, wait_serving, wait_until
from users import LOAD_CLIENT, Users, bad, now, percentile, summary, verdict

WEIGHTS = os.environ.get("TROUPE_GPU_WEIGHTS", "files")
RANDOM_MODEL = os.environ.get("TROUPE_RANDOM_MODEL", str(pathlib.Path(LOAD_CLIENT).parent / "random_model"))
DEVICE = os.environ.get("TROUPE_GPU_DEVICE", "cuda")  # cpu rehearses the test without a GPU
TENSOR = 2
MARGIN = 0.15  # two tokens nearer than this may change places when the batch they are computed in changes
STOP_SECONDS = 4
QWEN3_8B = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "hidden_size": 4096,
    "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
    "head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
    "tie_word_embeddings": False, "eos_token_id": 151645, "torch_dtype": "bfloat16",
}  # fmt: skip


def devices():
    if DEVICE == "cpu":
        return TENSOR
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    return len(found.splitlines())


@contextlib.contextmanager
def model_files():
    """A folder with a model's files; on a CPU, the rehearsal, a small one's."""
    kept = os.environ.get("TROUPE_GPU_FOLDER")
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(kept or stack.enter_context(tempfile.TemporaryDirectory(prefix="troupe-model-")))
        if not (folder / "model.safetensors").exists():
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
                shutil.copy(DEMO_MODEL / name, folder)
            config = QWEN3_8B if DEVICE == "cuda" else json.loads((DEMO_MODEL / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps(config))
            subprocess.run([RANDOM_MODEL, folder], check=True)
        yield folder


def cluster_file(folder):
    engine = {"threads": 0, "max_sequences": 64, "kv_memory": "8GiB" if DEVICE == "cuda" else "64MiB", "context": 4096}
    file = topology(nodes="a", tensor=TENSOR, engine=engine, restart_limit=MANY)
    file["groups"][0]["ranks"] = [f"a/{DEVICE}:{rank}" for rank in range(TENSOR)]
    if folder:
        file["model"] = str(folder)
    else:
        del file["model"]
        file["weights"] = WEIGHTS
    return file


class Log:
    """The node's log: lines with their time on the clock of the records."""

    LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) \w+ +\|([^|]*)\| (.*)$")

    def __init__(self, node):
        offset = time.time() - now()
        self.lines = []
        for line in node.log().splitlines():
            if found := self.LINE.match(line):
                at = datetime.datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S.%f").timestamp()
                self.lines.append((at - offset, found[2].strip(), found[3]))

    def between(self, begin, end, word):
        return [(at, who, text) for at, who, text in self.lines if begin <= at < end and text.startswith(word)]


def number(text, key):
    found = re.search(rf"{key}=(\d+)ms", text)
    return int(found[1]) / 1000 if found else 0.0


def split(log, at, first_token):
    """Seconds of a pause by what they went into; None when the log does not show a recovery."""
    begin, end = at - 0.002, first_token + 0.002  # the log has milliseconds
    exits = log.between(begin, end, "rank-exited")
    launched = log.between(begin, end, "rank-launched")
    starting = log.between(begin, end, "group-starting")
    joins = log.between(begin, end, "rank-joins")
    serving = log.between(begin, end, "group-serving")
    if not (exits and launched and starting and serving):
        return None
    loaded = [text for _, _, text in log.between(begin, end, "cuda-loaded")]
    nccl = [text for _, _, text in log.between(begin, end, "nccl-joined")]
    slowest = lambda texts, key: max((number(text, key) for text in texts), default=0.0)
    parts = {
        "detect": exits[0][0] - at,
        "abort": exits[-1][0] - exits[0][0],
        "process": starting[-1][0] - launched[-1][0],
        "init": slowest(nccl, "took") + slowest(loaded, "link"),
        "weights": slowest(loaded, "weights"),
        "tune": slowest(loaded, "tune"),
        "graphs": slowest(loaded, "graphs"),
        "replay": first_token - serving[-1][0],
    }
    parts["other"] = first_token - at - sum(parts.values())
    parts["joins after start"] = joins[-1][0] - starting[-1][0] if joins else 0.0
    return parts


def first_piece_after(requests, at):
    return min((when for request in requests for when, _ in request.pieces if when > at), default=None)


def last_piece_before(requests, at):
    return max((when for request in requests for when, _ in request.pieces if when <= at), default=None)


def differing(requests, reference):
    """Streams that differ from the undisturbed ones: (all, those that part where the margin was meaningful)."""
    known = {request.index: request for request in reference}
    parted, wrong = 0, 0
    for request in requests:
        undisturbed = known.get(request.index)
        if undisturbed is None or not request.whole:
            continue
        place = next((i for i, (a, b) in enumerate(zip(request.tokens, undisturbed.tokens)) if a != b), None)
        if place is None:
            continue
        parted += 1
        wrong += min(undisturbed.margins[place], request.margins[place]) > MARGIN
    return parted, wrong


def users_of(cluster, seed, count=0):
    return Users(
        [cluster.node.address], users=4, seconds=10**6, seed=seed, count=count, prompt_tokens=64, max_tokens=400, margins=True
    )


def wait_new_epoch(cluster, before, limit=60):
    """The status, once other processes than before serve."""

    def look():
        status = serves(cluster)
        return status if status and {rank[3] for rank in members(status)}.isdisjoint(before) else None

    return wait_until(look, limit, "the group serves with new processes")


def run(options):
    if devices() < TENSOR:
        return {"skipped": f"{TENSOR} CUDA devices are needed; this machine has {devices()}"}
    with contextlib.nullcontext() if WEIGHTS.startswith("random:") else model_files() as folder:
        return break_ranks(options, folder)


def break_ranks(options, folder):
    dice = random.Random(options.seed)
    kills, stops = [], []
    with Cluster(cluster_file(folder)) as cluster:
        begun = now()
        cluster.begin().wait_ready(limit=180)
        wait_serving(cluster)
        start = now() - begun
        users = users_of(cluster, options.seed)
        time.sleep(2)
        status = wait_serving(cluster)
        for _ in range(options.count):
            time.sleep(dice.uniform(2.1, 3.0))  # longer than what counts as a short life: a restart at once
            pids = [rank[3] for rank in members(status)]
            kills.append(kill(dice.choice(pids)))
            status = wait_new_epoch(cluster, pids)
        for _ in range(max(1, options.count // 10)):
            time.sleep(dice.uniform(2.1, 3.0))
            pids = [rank[3] for rank in members(status)]
            stopped_pid = dice.choice(pids)
            stops.append(kill(stopped_pid, signal.SIGSTOP))
            time.sleep(STOP_SECONDS)
            kill(stopped_pid, signal.SIGCONT)
            status = wait_new_epoch(cluster, pids)
        time.sleep(1)
        users.stop()
        requests = users.finish(120)
        # The same requests again, undisturbed; requests are numbered, so the same numbers have the same prompts.
        quiet = users_of(cluster, options.seed, count=len(requests))
        reference = quiet.finish(300)
        log = Log(cluster.node)
        full_log = cluster.node.log()
    pauses, splits = [], []
    for at in kills:
        after = first_piece_after(requests, at + 0.05)
        before = last_piece_before(requests, at + 0.05)
        if after is None or before is None:
            continue
        pauses.append(after - before)
        if parts := split(log, at, after):
            splits.append(parts)
    stopped = []
    for at in stops:
        after, before = first_piece_after(requests, at + 0.05), last_piece_before(requests, at + 0.05)
        if after is not None and before is not None:
            stopped.append(after - before)
    counts = verdict(requests)
    parted, wrong = differing(requests, reference)
    result = {
        "test": f"{len(kills)} x kill -9 and {len(stops)} x SIGSTOP ({STOP_SECONDS} s) of a rank, weights {WEIGHTS} on {TENSOR} x {DEVICE}",
        "target": "all streams whole and right; pause p50 3 s",
        "first_start_s": round(start, 2),
        "pause_after_kill_ms": summary(pauses),
        "pauses_ms": [round(pause * 1000) for pause in pauses],
        "pause_after_stop_ms": summary(stopped),
        "split_p50_ms": {
            key: round(1000 * percentile([parts[key] for parts in splits], 0.5)) for key in (splits[0] if splits else ())
        },
        "streams_unlike_undisturbed": parted,
        "unlike_beyond_margin": wrong,
        **counts,
        "bad": bad(counts) + wrong,
    }
    if out := os.environ.get("TROUPE_CHAOS_LOG"):
        with open(out, "w", encoding="utf-8") as file:
            file.write(full_log)
    return result
