#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Starts the node of examples/demo.yaml, runs the client example against it, ends the node.
#   examples/run_client.sh [TROUPE] [CLIENT]
set -euo pipefail
troupe=${1:-build/release/troupe}
client=${2:-build/release/example_client}
work=$(mktemp -d)
node=0
trap '((node)) && kill -TERM "$node" 2>/dev/null; rm -rf "$work"' EXIT

# The demo's topology at free ports, so that it runs beside another node.
sed 's/port: 4242/port: 0/; s/127\.0\.0\.1:8080/127.0.0.1:0/; s|\.\./models|models|' examples/demo.yaml >"$work/demo.yaml"
"$troupe" node --topology "$work/demo.yaml" --ready-file "$work/ready.json" --log-level warning &
node=$!
for _ in $(seq 600); do
  [[ -e $work/ready.json ]] && break
  kill -0 "$node" 2>/dev/null || { echo "run_client: error: the node ended before it served" >&2; exit 1; }
  read -rt 0.1 <> <(:) || true
done
[[ -e $work/ready.json ]] || { echo "run_client: error: the node did not serve within 60 s" >&2; exit 1; }

address=$(grep -oE '"node":"[^"]+"' "$work/ready.json" | cut -d'"' -f4)
"$client" "${address%:*}" "${address##*:}"

kill -TERM "$node"
wait "$node"
node=0
