#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants one known bug at a time into a copy of the tree and lets the simulator look for it.

A mutant is a file tests/simulation/mutants/NAME: a sentence, `file: PATH`, a line `---`, the exact original lines, a
line `+++`, and what stands there instead. `./dev mutants [NAME...]` prints mutant, seed and invariant.
"""
import pathlib, re, shutil, subprocess, sys

root = pathlib.Path(__file__).resolve().parent.parent
scratch = root / "build" / "mutants"
tree = scratch / "tree"


def read(path):
    head, body = path.read_text().split("\n---\n", 1)
    before, after = body.split("\n+++\n", 1)
    sentence, place = head.rsplit("\nfile: ", 1)
    return sentence.strip(), place.strip(), before, after.rstrip("\n")


def run(command, **more):
    return subprocess.run(command, text=True, capture_output=True, **more)


def copy_tree():
    """Only what differs is written, so that the build stays incremental."""
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root).stdout
    for name in filter(None, listed.split("\0")):
        source, target = root / name, tree / name
        if source.is_file() and (not target.exists() or source.read_bytes() != target.read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copymode(source, target)


def build():
    if not (tree / "build/release/build.ninja").exists():
        done = run(["cmake", "--preset", "release"], cwd=tree)
        if done.returncode: sys.exit("mutants: the copy cannot be configured:\n" + done.stdout + done.stderr)
    return run(["cmake", "--build", "--preset", "release", "--target", "troupe_sim"], cwd=tree)


def hunt(seeds):
    done = run(["build/release/troupe_sim", "--seeds", str(seeds), "--mode", "all", "--failures", "1", "--no-shrink"], cwd=tree)
    found = re.search(r"seed (\d+) mode (\w+): ([\w-]+):", done.stdout)
    return f"{found[1]} ({found[2]}) | {found[3]}" if found else "not found | "


def main():
    folder = root / "tests/simulation/mutants"
    names = sys.argv[1:] or sorted(path.name for path in folder.iterdir())
    mutants = {name: read(folder / name) for name in names}
    for name, (_, place, before, _) in mutants.items():
        if (root / place).read_text().count(before) != 1:
            sys.exit(f"mutants: {name} does not apply: its lines are not exactly once in {place}")
    copy_tree()
    missed = 0
    print("| mutant | bug | found at seed | invariant |\n|---|---|---|---|", flush=True)
    for name, (sentence, place, before, after) in mutants.items():
        target = tree / place
        whole = target.read_text()
        target.write_text(whole.replace(before, after))
        try:
            done = build()
            result = hunt(3334) if done.returncode == 0 else "does not build | "
        finally:
            target.write_text(whole)
        missed += result.startswith(("not found", "does not"))
        print(f"| {name} | {sentence} | {result} |", flush=True)
    sys.exit(1 if missed else 0)


main()
