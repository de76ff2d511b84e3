#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP clients that take up an interrupted answer: at the same node, at another, after a restart."""

import http.client
import json
import signal

from cluster import ANSWER_LIMIT, LONG_MODEL, LONG_QUESTION, TestCase, long_answer, main, wait_until

TOKENS = 1200


def body(**more):
    message = {"role": "user", "content": LONG_QUESTION}
    return {"model": "qwen3-tiny", "messages": [message], "temperature": 0, "max_tokens": TOKENS, **more}


def post(node, request, headers=None):
    host, port = node.http.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=ANSWER_LIMIT)
    connection.request(
        "POST",
        "/v1/chat/completions",
        json.dumps(request),
        {"Content-Type": "application/json", **(headers or {})},
    )
    return connection, connection.getresponse()


class Part:
    """A stream read as far as wanted: its text, and the id of the last event that came."""

    def __init__(self, node, request, headers=None, events=None):
        self.text, self.last_id, self.done, self.error = "", "", False, None
        connection, reply = post(node, {**request, "stream": True}, headers)
        self.status, self.headers = reply.status, reply.headers
        pending = ""
        try:
            while events is None or events > 0:
                line = reply.readline()
                if not line:
                    break
                if line.startswith(b"id:"):
                    pending = line[3:].strip().decode()
                elif line.startswith(b"data:"):
                    data = line[5:].strip()
                    if data == b"[DONE]":
                        self.done = True
                        break
                    chunk = json.loads(data)
                    self.error = chunk.get("error", self.error)
                    for choice in chunk.get("choices", []):
                        self.text += choice["delta"].get("content") or ""
                    if pending:
                        self.last_id, pending = pending, ""
                        events = None if events is None else events - 1
        except (ConnectionError, http.client.HTTPException):
            pass  # the node was killed
        connection.close()


class GatewayResume(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.long = long_answer()

    def whole(self, node, **more):
        part = Part(node, body(**more))
        self.assertTrue(part.done, part.error)
        return part.text

    def test_a_stream_goes_on_behind_its_last_event_at_the_same_node_and_at_another(self):
        cluster = self.enter_cluster(model=LONG_MODEL, nodes="ab", http=True)
        a, b = cluster.nodes["a"], cluster.nodes["b"]
        expected = self.whole(a)
        for second in (a, b):
            with self.subTest(at=second.name):
                head = Part(a, body(), events=40)
                tail = Part(second, body(), {"Last-Event-ID": head.last_id})
                self.assertEqual(head.text + tail.text, expected)
                self.assertTrue(tail.done)
                self.assertEqual(tail.headers["Troupe-Request-Key"], head.headers["Troupe-Request-Key"])

    def test_a_sampled_stream_without_a_seed_goes_on_at_another_node_with_the_same_draws(self):
        cluster = self.enter_cluster(model=LONG_MODEL, nodes="ab", http=True)
        a, b = cluster.nodes["a"], cluster.nodes["b"]
        sampled = {"temperature": 0.9, "presence_penalty": 0.5}
        head = Part(a, body(**sampled), events=40)
        tail = Part(b, body(**sampled), {"Last-Event-ID": head.last_id})
        again = Part(b, body(**sampled), {"Last-Event-ID": head.last_id.split(":")[0] + ":0.0"})
        self.assertTrue(tail.done and again.done)
        self.assertEqual(head.text + tail.text, again.text)

    def test_the_node_is_killed_and_the_stream_goes_on_at_the_other(self):
        cluster = self.enter_cluster(model=LONG_MODEL, nodes="ab", http=True)
        a, b = cluster.nodes["a"], cluster.nodes["b"]
        expected = self.whole(a)
        head = Part(b, body(), events=40)
        b.signal(signal.SIGKILL)
        b.wait_end()
        tail = Part(a, body(), {"Last-Event-ID": head.last_id})
        self.assertEqual(head.text + tail.text, expected)

    def test_an_idempotency_key_gives_the_same_answer_twice(self):
        node = self.enter_cluster(model=LONG_MODEL, http=True).node
        sampled = body(temperature=0.9, max_tokens=60)
        texts = set()
        for _ in range(2):
            connection, reply = post(node, sampled, {"Idempotency-Key": "order-66"})
            texts.add(json.loads(reply.read())["choices"][0]["message"]["content"])
            connection.close()
        self.assertEqual(len(texts), 1)

    def test_a_node_that_is_started_again_finishes_what_its_journal_has(self):
        cluster = self.enter_cluster(model=LONG_MODEL, http=True)
        cluster.node.signal(signal.SIGKILL)
        cluster.node.wait_end()
        journal = ("--journal", str(cluster.folder / "journal.bin"), "--log-level", "debug")
        node = cluster.begin(arguments=journal).wait_ready()
        expected = self.whole(node)
        head = Part(node, body(), {"Idempotency-Key": "x"}, events=40)
        node.signal(signal.SIGKILL)
        node.wait_end()
        node = cluster.begin(arguments=journal).wait_ready()
        wait_until(lambda: "journal-read" in node.log() and "unfinished=1" in node.log(), 10, "the journal is read")
        wait_until(lambda: "request-accepted" in node.log(), 10, "the old request is accepted without its client")
        tail = Part(node, body(), {"Idempotency-Key": "x", "Last-Event-ID": head.last_id})
        self.assertEqual(head.text + tail.text, expected)
        self.assertTrue(tail.done)


if __name__ == "__main__":
    main()
