#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Asks over HTTP and shows the answer as it comes: examples/chat.sh "What is 27 + 15?" [http://HOST:PORT]
set -euo pipefail
question=${1:-"What is 27 + 15?"}
server=${2:-http://127.0.0.1:8080}
model=$(curl -sS --fail-with-body "$server/v1/models" | python3 -c 'import json, sys; print(json.load(sys.stdin)["data"][0]["id"])')
body=$(python3 -c 'import json, sys
print(json.dumps({"model": sys.argv[1], "temperature": 0, "stream": True,
                  "messages": [{"role": "user", "content": sys.argv[2]}]}))' "$model" "$question")
curl -sS -N --fail-with-body "$server/v1/chat/completions" -H 'Content-Type: application/json' -d "$body" |
  python3 -uc 'import json, sys
for line in sys.stdin:
    data = line.removeprefix("data: ").strip()
    for choice in json.loads(data)["choices"] if data.startswith("{") else []:
        print(choice["delta"].get("content", ""), end="", flush=True)
print()'
