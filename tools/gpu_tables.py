#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the GPU tables of docs/performance.md from the lines that tools/gpu.sh measured: tools/gpu_tables.py FILE..."""
import json
import pathlib
import re
import sys

DOCUMENT = pathlib.Path(__file__).parent.parent / "docs/performance.md"


def read(files):
    """The last line of each benchmark on each GPU."""
    runs = {}
    for file in files:
        for line in pathlib.Path(file).read_text().splitlines():
            run = json.loads(line)
            runs[(run["gpu"], run["name"])] = run["result"]
    return runs


def row(gpu, name, result):
    share = result.get("share_of_memory_bandwidth")
    cells = [
        gpu,
        result["model"].removeprefix("random:"),
        str(result["sequences"]),
        f"{result['prompt_tokens'] // result['sequences'] + result['output_tokens'] // result['sequences']:,}",
        f"{result['inter_token_p50_ms']:.2f}",
        f"{result['sequences'] * 1e3 / result['inter_token_p50_ms']:,.0f}",
        f"{share:.0%}".replace("%", " %") if share is not None else "",
        f"{result['outside_executor']:.1%}".replace("%", " %"),
    ]
    return "| " + " | ".join(cells) + " |"


def decode_table(runs):
    lines = [
        "| GPU | shape | sequences | context | token to token, ms | tokens/s | share of copy bandwidth | outside the engine |",
        "|---|---|---|---|---|---|---|---|",
    ]
    decodes = [(gpu, r["model"], r["sequences"], r["prompt_tokens"], name) for (gpu, name), r in runs.items() if re.search(r"-b\d+-c", name) and ranks(r) == 1]
    return lines + [row(gpu, name, runs[gpu, name]) for gpu, _, _, _, name in sorted(decodes)]


def ranks(result):
    return result["tensor"] * result["pipeline"]


def tensor_table(runs):
    """Groups of several devices, beside one device where the same run had it."""
    lines = [
        "| GPUs | shape | sequences | context | token to token, ms | tokens/s | share of copy bandwidth | outside the engine | against one |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (gpu, name), r in sorted(runs.items(), key=lambda run: (run[1]["model"], run[1]["sequences"])):
        if ranks(r) == 1 or "prefill" in name:
            continue
        alone = runs.get((gpu, re.sub(r"-[tp]p\d+", "", name)))
        ratio = f"{alone['inter_token_p50_ms'] / r['inter_token_p50_ms']:.2f} x" if alone else ""
        shape = f"{ranks(r)} x {gpu}" + (f" as {r['pipeline']} stages" if r["pipeline"] > 1 else "")
        lines.append(f"{row(shape, name, r)} {ratio} |")
    return lines


def prefill_table(runs):
    lines = ["| GPU | shape | prompt | first token, ms | tokens/s | products alone, TFLOP/s | share of the matrix rate |", "|---|---|---|---|---|---|---|"]
    for (gpu, name), r in sorted(runs.items()):
        if "prefill" in name:
            devices = gpu if ranks(r) == 1 else f"{ranks(r)} x {gpu}"
            lines.append(
                f"| {devices} | {r['model'].removeprefix('random:')} | {r['prompt_tokens']:,} | {r['first_token_p50_ms']:.1f} "
                f"| {r['prefill_tokens_per_second']:,.0f} | {r['prefill_weight_tflops']:.0f} "
                f"| {r['prefill_share_of_matrix_rate']:.0%} of {r['device_matrix_tflops']:.0f} |".replace("%", " %")
            )
    return lines


def offline_table(runs):
    lines = ["| GPU | shape | seconds | output tokens/s | all tokens/s | shortest possible, s | share | outside the engine |", "|---|---|---|---|---|---|---|---|"]
    for (gpu, name), r in sorted(runs.items()):
        if "offline" in name:
            lines.append(
                f"| {gpu} | {r['model'].removeprefix('random:')} | {r['seconds']:.1f} | {r['output_tokens_per_second']:,.0f} "
                f"| {r['tokens_per_second']:,.0f} | {r['floor_seconds']:.1f} | {r['share_of_floor']:.0%} | {r['outside_executor']:.1%} |".replace("%", " %")
            )
    return lines


def main():
    runs = read(sys.argv[1:])
    text = DOCUMENT.read_text()
    tables = {"decode": decode_table, "tensor": tensor_table, "prefill": prefill_table, "offline": offline_table}
    for name, make in tables.items():
        table = make(runs)
        if len(table) == 2:
            continue  # these files have nothing for it: what is there stays
        begin, end = f"<!-- gpu {name} -->", f"<!-- gpu {name} end -->"
        text = re.sub(f"{begin}.*?{end}", lambda _: begin + "\n" + "\n".join(table) + "\n" + end, text, flags=re.S)
    DOCUMENT.write_text(text)


if __name__ == "__main__":
    main()
