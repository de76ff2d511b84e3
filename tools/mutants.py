#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants one known bug at a time and lets the simulator look for it.

A mutant is a file tests/simulation/mutants/NAME: a sentence, `file: PATH`, a line `---`, the exact original lines, a
line `+++`, and what stands there instead. A last line `equivalent: WHY` of the sentence says that no run can show it;
such a one is searched for in a tenth of the seeds.
The changed file alone is compiled, and linked in place of the original one into a simulator of its own; the tree is
not touched. `./dev mutants [--seeds N] [NAME...]` prints mutant, seed and invariant; N is of each mode.
"""
import argparse, concurrent.futures, json, os, pathlib, re, shlex, subprocess, sys

root = pathlib.Path(__file__).resolve().parent.parent
build = root / "build" / "release"
scratch = root / "build" / "mutants"
target = "tests/simulation/CMakeFiles/troupe_sim.dir/troupe_sim.cpp.o"


def read(path):
    head, body = path.read_text().split("\n---\n", 1)
    before, after = body.split("\n+++\n", 1)
    sentence, place = head.rsplit("\nfile: ", 1)
    sentence, _, why = sentence.strip().partition("\nequivalent: ")
    return {"name": path.name, "sentence": sentence, "why": why, "place": place.strip(), "before": before,
            "after": after.rstrip("\n")}


def run(command, **more):
    return subprocess.run(command, text=True, capture_output=True, **more)


def need(command):
    done = run(command, cwd=root)
    if done.returncode:
        sys.exit(f"mutants: {shlex.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def compile_command(place):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if pathlib.Path(entry["file"]) == root / place:
            return shlex.split(entry["command"])
    sys.exit(f"mutants: {place} is not compiled; a mutant changes a .cpp file of the simulator")


def make(mutant):
    """Compiles and links one mutant. Returns what went wrong."""
    folder = scratch / mutant["name"]
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / pathlib.Path(mutant["place"]).name
    source.write_text((root / mutant["place"]).read_text().replace(mutant["before"], mutant["after"]))
    command = compile_command(mutant["place"])
    command[command.index("-o") + 1] = str(folder / "mutant.o")
    command[command.index("-c") + 1] = str(source)
    done = run(command + ["-O1", "-Wno-error"], cwd=build)
    if done.returncode:
        return done.stderr
    link = need(["ninja", "-C", str(build), "-t", "commands", "troupe_sim"]).strip().splitlines()[-1]
    # Before the libraries: their own object of that name is then not asked for anything.
    link = link.replace(target, f"{target} {folder}/mutant.o").replace("-o troupe_sim", f"-o {folder}/troupe_sim")
    return run(["sh", "-c", link], cwd=build).stderr


def hunt(mutant, seeds):
    seeds = max(1, seeds // 10) if mutant["why"] else seeds
    command = [str(scratch / mutant["name"] / "troupe_sim"), "--seeds", str(seeds), "--mode", "all", "--failures", "1",
               "--no-shrink"]
    done = run(command)
    found = re.search(r"seed (\d+) mode (\w+): ([\w-]+):", done.stdout)
    if found:
        return f"{found[1]} ({found[2]}) | {found[3]}", True
    if done.returncode or f"{3 * seeds} seeds in" not in done.stdout:
        return f"the search broke off | {(done.stdout + done.stderr).strip()[-200:]}", False
    return ("equivalent | " + mutant["why"], True) if mutant["why"] else (f"not found in {3 * seeds} | ", False)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seeds", type=int, default=3334)
    options.add_argument("--check", action="store_true", help="only that each can still be planted")
    options.add_argument("names", nargs="*")
    options = options.parse_args()
    folder = root / "tests/simulation/mutants"
    mutants = [read(folder / name) for name in options.names or sorted(path.name for path in folder.iterdir())]
    stale = [mutant for mutant in mutants if (root / mutant["place"]).read_text().count(mutant["before"]) != 1]
    for mutant in stale:
        print(f"mutants: {mutant['name']} does not apply: its lines are not exactly once in {mutant['place']}")
    if stale or options.check:
        sys.exit(1 if stale else 0)
    if not (build / "build.ninja").exists():
        need(["cmake", "--preset", "release"])
    need(["cmake", "--build", "--preset", "release", "--target", "troupe_sim"])
    missed = 0
    print("| mutant | bug | found at seed | invariant |\n|---|---|---|---|", flush=True)
    with concurrent.futures.ThreadPoolExecutor(max_workers=int(os.environ.get("JOBS", "1"))) as pool:
        for mutant, fault in zip(mutants, pool.map(make, mutants)):
            if fault:
                print(fault, file=sys.stderr)
            result, found = ("does not build | ", False) if fault else hunt(mutant, options.seeds)
            missed += not found
            print(f"| {mutant['name']} | {mutant['sentence']} | {result} |", flush=True)
    sys.exit(1 if missed else 0)


main()
