#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Starts the cluster of examples/demo.yaml, asks the demo model a question, shows what ran where, and ends.
# Run through `./dev demo [QUESTION]`.
set -euo pipefail
troupe=$1
question=${2:-"What is 27 + 15?"}
work=$(mktemp -d)
node=0
trap '((node)) && kill -TERM "$node" 2>/dev/null; rm -rf "$work"' EXIT

"$troupe" node --topology examples/demo.yaml --ready-file "$work/ready.json" --log-level warning 2>"$work/log" &
node=$!
for _ in $(seq 600); do
  [[ -e $work/ready.json ]] && break
  kill -0 "$node" 2>/dev/null || { cat "$work/log" >&2; echo "demo: error: the node ended before it served" >&2; exit 1; }
  read -rt 0.1 <> <(:) || true
done
[[ -e $work/ready.json ]] || { cat "$work/log" >&2; echo "demo: error: the node did not serve within 60 s" >&2; exit 1; }
address=$(grep -oE '"node":"[^"]+"' "$work/ready.json" | cut -d'"' -f4)

echo "== What runs where"
"$troupe" status --node "$address"
echo
echo "== $question"
"$troupe" ask --node "$address" "$question"
echo
echo "== Tell me a story about a fox."
"$troupe" ask --node "$address" --max-tokens 300 "Tell me a story about a fox."

kill -TERM "$node"
wait "$node" && ended=0 || ended=$?
node=0
((ended == 0)) || { cat "$work/log" >&2; echo "demo: error: the node ended with $ended" >&2; exit 1; }
echo
echo "== The cluster has ended cleanly. Start your own with: build/release/troupe node --topology examples/demo.yaml"
