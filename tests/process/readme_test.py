#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of README.md, so that what it says can be done.

Rules for who writes README.md:
- Every fenced block marked exactly ```sh is one script, run by `bash -euo pipefail` in the repository's root, in the
  order of the file. A block that fails, or takes longer than its limit (600 s), fails the test.
- A line `<!-- not run -->`, alone directly above the fence (blank lines between are allowed), leaves the block out; say
  in the text around it why. `<!-- not run: REASON -->` is the same with the reason. Blocks with any other mark, such as
  ```yaml, ```cpp, ```console or none, are not commands and are not looked at.
- A leading `$ ` is not allowed in ```sh blocks: what stands there can be pasted.
- A command that goes on (`troupe node ... &`) may be left in the background by its block and used by the blocks after
  it. Each block is a session of its own; what still runs of one at the end is ended by SIGTERM, then SIGKILL.
- `./dev test`, alone or with the kinds all and readme, runs this test and must therefore be left out.
- Variables and the working folder do not carry over from block to block; files do.
- At least one block must be found, so that a change of marks cannot empty the test.

    readme_test.py            run
    readme_test.py --list     show what would be run
"""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys

from cluster import END_LIMIT, ROOT, Overdue, die_with_parent, process_state, wait_until

BLOCK_LIMIT = 600  # seconds; the first block may build
NOT_RUN = re.compile(r"<!--\s*not run\s*(:.*)?-->$")


class Block:
    def __init__(self, line, script, skipped):
        self.line, self.script, self.skipped = line, script, skipped


def extract(text):
    """Every ```sh block of a Markdown text."""
    blocks, fence, mark, script, begin, above = [], None, "", [], 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        opening = re.match(r"^\s*(```+|~~~+)\s*(.*)$", line)
        if fence is None and opening:
            fence, mark, script, begin = opening[1], opening[2].strip(), [], number
        elif fence is not None and line.strip() == fence:
            if mark == "sh":
                blocks.append(Block(begin, "\n".join(script) + "\n", bool(NOT_RUN.search(above))))
            fence, above = None, ""
        elif fence is not None:
            script.append(line)
        elif line.strip():
            above = line.strip()
    if fence is not None:
        raise SystemExit(f"README.md:{begin}: the block that begins here has no end")
    return blocks


def members_of(session):
    """Living processes of the session that a block's shell leads."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and process_state(entry):
            try:
                if os.getsid(int(entry)) == session:
                    found.append(int(entry))
            except OSError:
                pass
    return found


class Session:
    """The shells of all blocks; each leads a session of its own, by which what it left running is found."""

    def __init__(self):
        self.leaders = []

    def run(self, block):
        output = subprocess.DEVNULL
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", block.script],
            cwd=ROOT,
            stdin=output,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        self.leaders.append(shell.pid)
        return shell.wait(timeout=BLOCK_LIMIT)

    def end(self):
        """Whatever the blocks left running."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for leader in self.leaders:
                for pid in members_of(leader):
                    os.kill(pid, number)
            try:
                return wait_until(
                    lambda: not any(map(members_of, self.leaders)), END_LIMIT, "end of what README.md started"
                )
            except Overdue:
                continue


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--file", type=pathlib.Path, default=ROOT / "README.md")
    options = parser.parse_args()
    if not options.file.exists():
        print(f"skipped: there is no {options.file}")
        sys.exit(4)
    blocks = extract(options.file.read_text())
    if not any(not block.skipped for block in blocks):
        sys.exit(f"{options.file}: no block marked sh to run")
    session = Session()
    try:
        for block in blocks:
            name = f"{options.file.name}:{block.line}"
            print(f"== {name}{' (not run)' if block.skipped else ''}\n{block.script}", end="", flush=True)
            if re.search(r"^\$ ", block.script, re.MULTILINE):
                sys.exit(f"{name}: a command begins with '$ '; leave it out, so that it can be pasted")
            if block.skipped or options.list:
                continue
            if re.search(r"\./dev test( all| readme)?\s*(#.*)?$", block.script, re.MULTILINE):
                sys.exit(f"{name}: ./dev test would run this test again; mark the block <!-- not run: ... -->")
            if code := session.run(block):
                sys.exit(f"{name}: ended with {code}")
    except subprocess.TimeoutExpired:
        sys.exit(f"{name}: not ended within {BLOCK_LIMIT} s")
    finally:
        session.end()


if __name__ == "__main__":
    main()
