#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The OpenAI-compatible HTTP API of a node, by hand; openai_test.py runs the official client."""

import http.client
import json
import signal

from cluster import (
    ANSWER_LIMIT,
    LONG_MODEL,
    LONG_QUESTION,
    Cluster,
    TestCase,
    long_answer,
    main,
    topology,
    troupe,
    wait_until,
)

QUESTION, ANSWER = "What is 27 + 15?", "27 + 15 = 42."


def connect(node):
    host, port = node.http.rsplit(":", 1)
    return http.client.HTTPConnection(host, int(port), timeout=ANSWER_LIMIT)


def request(node, method, path, body=None, headers=None):
    """(status, headers, parsed JSON)."""
    connection = connect(node)
    try:
        raw = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        connection.request(method, path, raw, {"Content-Type": "application/json", **(headers or {})})
        reply = connection.getresponse()
        return reply.status, reply.headers, json.loads(reply.read())
    finally:
        connection.close()


def chat_body(question=QUESTION, model="demo", **more):
    return {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, **more}


class Stream:
    """Server-sent events as they come."""

    def __init__(self, node, body, path="/v1/chat/completions"):
        self.connection = connect(node)
        self.connection.request(
            "POST", path, json.dumps({**body, "stream": True}), {"Content-Type": "application/json"}
        )
        self.reply = self.connection.getresponse()

    def __iter__(self):
        """The data of each event; ends with the stream."""
        while line := self.reply.readline():
            if line.startswith(b"data:"):
                yield line.removeprefix(b"data:").strip().decode()

    def close(self):
        self.reply.close()
        self.connection.close()


def text_of(events):
    chunks = [json.loads(event) for event in events]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", []))


class Gateway(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(topology(tensor=2, http=True))).start()
        cls.node = cls.cluster.node

    def refused(self, status, body, *words, path="/v1/chat/completions", method="POST"):
        got, _, reply = request(self.node, method, path, body)
        self.assertEqual(got, status, reply)
        error = reply["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"}, error)
        for word in words:
            self.assertIn(word, json.dumps(error))
        self.assertEqual(request(self.node, "POST", "/v1/chat/completions", chat_body())[0], 200)

    def test_health_says_ok(self):
        status, _, reply = request(self.node, "GET", "/health")
        self.assertEqual((status, reply["status"]), (200, "ok"))

    def test_metrics_count_what_was_answered(self):
        def figures():
            connection = connect(self.node)
            connection.request("GET", "/metrics")
            reply = connection.getresponse()
            lines = reply.read().decode().splitlines()
            connection.close()
            self.assertEqual(reply.headers["Content-Type"], "text/plain; version=0.0.4")
            return {name: float(value) for name, value, _ in (x.split() for x in lines if not x.startswith("#"))}

        sampled = 'troupe_tokens_sampled_total{group="g0"}'
        wait_until(lambda: sampled in figures(), 10, "the group's figures")
        before = figures()
        request(self.node, "POST", "/v1/chat/completions", chat_body())
        after = figures()
        more = {name: value - before.get(name, 0) for name, value in after.items()}
        self.assertEqual(more['troupe_requests_ended_total{reason="stop"}'], 1)
        self.assertEqual(more["troupe_generation_tokens_total"], 12)
        self.assertEqual(more["troupe_time_to_first_token_seconds_count"], 1)
        self.assertEqual(more["troupe_inter_token_latency_seconds_count"], 11)
        self.assertEqual(more['troupe_request_duration_seconds_bucket{le="+Inf"}'], 1)
        self.assertEqual(after['troupe_group_serving{group="g0"}'], 1)
        # What the group and the router say comes within a second or so.
        wait_until(lambda: figures()["troupe_router_completed_total"] > before["troupe_router_completed_total"], 10, "")
        wait_until(lambda: figures()[sampled] >= before[sampled] + 12, 10, "tokens of the group")

    def test_models_lists_the_one_that_is_served(self):
        status, _, reply = request(self.node, "GET", "/v1/models")
        self.assertEqual((status, reply["object"], [model["id"] for model in reply["data"]]), (200, "list", ["demo"]))

    def test_a_chat_completion_is_answered_whole(self):
        status, headers, reply = request(self.node, "POST", "/v1/chat/completions", chat_body())
        self.assertEqual(status, 200, reply)
        self.assertTrue(headers["Content-Type"].startswith("application/json"))
        self.assertEqual(reply["object"], "chat.completion")
        [choice] = reply["choices"]
        self.assertEqual((choice["message"]["role"], choice["message"]["content"]), ("assistant", ANSWER))
        self.assertEqual((choice["index"], choice["finish_reason"]), (0, "stop"))
        usage = reply["usage"]
        self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"])

    def test_the_request_id_of_an_answer_is_one_that_trace_knows(self):
        _, headers, _ = request(self.node, "POST", "/v1/chat/completions", chat_body())
        trace = troupe("trace", "--json", "--node", self.node.address, headers["X-Request-Id"]).json()
        hops = [event["hop"] for event in trace["events"]]
        for hop in ("submitted", "admitted", "finished"):
            self.assertIn(hop, hops)

    def test_a_stream_has_the_whole_answer_and_ends_with_done(self):
        stream = Stream(self.node, chat_body(stream_options={"include_usage": True}))
        self.assertEqual(stream.reply.status, 200)
        self.assertTrue(stream.reply.headers["Content-Type"].startswith("text/event-stream"))
        events = list(stream)
        stream.close()
        self.assertEqual(events[-1], "[DONE]")
        self.assertEqual(text_of(events[:-1]), ANSWER)
        self.assertGreater(len(events), 5, "it came in one piece")
        self.assertEqual(json.loads(events[-2])["usage"]["completion_tokens"], 12)

    def test_the_http_answer_equals_the_answer_of_ask(self):
        question = "Tell me a story about a cat."
        _, _, reply = request(self.node, "POST", "/v1/chat/completions", chat_body(question))
        self.assertEqual(reply["choices"][0]["message"]["content"], self.cluster.ask(question).text)

    def test_a_wrong_request_is_refused_with_the_parameter(self):
        self.refused(400, chat_body(temperature=9), "temperature", "invalid_request_error")
        self.refused(400, chat_body(temprature=1), "temprature")
        self.refused(400, {"model": "demo"}, "messages")
        self.refused(400, "{not json", "JSON")
        self.refused(400, chat_body("hello " * 5000), "context_length_exceeded")

    def test_an_unknown_model_path_or_method_is_refused(self):
        self.refused(404, chat_body(model="gpt-9"), "model_not_found", "demo")
        self.refused(404, None, path="/v1/nothing", method="GET")
        self.refused(405, None, path="/v1/chat/completions", method="GET")

    def test_a_body_that_is_too_large_is_refused(self):
        self.refused(413, b"x" * (64 << 20))


class GatewayEnd(TestCase):
    def begin_stream(self, node):
        stream = Stream(node, chat_body(LONG_QUESTION, "qwen3-tiny", max_tokens=1500))
        events = iter(stream)
        return stream, events, [next(events) for _ in range(3)]

    def test_a_stream_ends_whole_while_the_node_drains_and_a_new_request_is_refused(self):
        node = self.enter_cluster(model=LONG_MODEL, tensor=2, http=True).node
        stream, events, head = self.begin_stream(node)
        node.signal(signal.SIGTERM)
        wait_until(lambda: "node-drains" in node.log(), 5, "the node drains")
        try:
            status, _, reply = request(node, "POST", "/v1/chat/completions", chat_body(model="qwen3-tiny"))
            self.assertEqual(status, 503, reply)
        except ConnectionError:
            pass  # it does not even listen any more
        whole = head + list(events)
        stream.close()
        self.assertEqual(whole[-1], "[DONE]")
        text = text_of(whole[:-1])
        self.assertGreater(len(text), 1500)
        self.assertTrue(long_answer().startswith(text.rstrip("\ufffd")))
        self.assertEqual(node.wait_end(), 0, node.log())

    def test_a_second_sigterm_ends_at_once_although_a_stream_is_open(self):
        node = self.enter_cluster(model=LONG_MODEL, tensor=2, http=True).node
        stream, _, _ = self.begin_stream(node)
        node.signal(signal.SIGTERM)
        wait_until(lambda: "node-drains" in node.log(), 5, "the node drains")
        node.signal(signal.SIGTERM)
        self.assertNotEqual(node.wait_end(limit=3), 0)
        stream.close()

    def test_a_client_that_goes_away_frees_its_request(self):
        cluster = self.enter_cluster(model=LONG_MODEL, http=True)
        stream, _, _ = self.begin_stream(cluster.node)
        stream.close()
        router = cluster.wait_for_status(lambda s: s["router"]["live"] == 0, "no request lives", limit=10)["router"]
        self.assertEqual((router["cancelled"], router["completed"]), (1, 0))

    def test_a_stream_whose_rank_is_killed_ends_whole_or_with_one_error_event(self):
        cluster = self.enter_cluster(model=LONG_MODEL, tensor=2, http=True)
        stream, events, head = self.begin_stream(cluster.node)
        cluster.signal_rank(1, signal.SIGKILL)
        whole = head + list(events)
        stream.close()
        chunks = [json.loads(event) for event in whole if event != "[DONE]"]
        errors = [chunk for chunk in chunks if "error" in chunk]
        text = "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk.get("choices", []))
        self.assertTrue(long_answer().startswith(text.rstrip("\ufffd")), "a delivered token was changed")
        if not errors:
            self.assertEqual(whole[-1], "[DONE]")
            self.assertGreater(len(text), 1500)
        self.assertLessEqual(len(errors), 1)

    def test_an_api_key_is_asked_for_when_the_file_names_some(self):
        cluster = self.enterContext(Cluster(topology(http=True)))
        cluster.file["nodes"]["a"]["api_key_file"] = "keys.txt"
        cluster.write("topology.yaml", cluster.file)
        keys = cluster.write("keys.txt", "correct-horse-battery\n")
        keys.chmod(0o600)
        cluster.start()
        status, _, reply = request(cluster.node, "POST", "/v1/chat/completions", chat_body())
        self.assertEqual((status, "error" in reply), (401, True), reply)
        for key, expected in (("correct-horse-battery", 200), ("correct-horse-batter", 401)):
            headers = {"Authorization": f"Bearer {key}"}
            status, _, reply = request(cluster.node, "POST", "/v1/chat/completions", chat_body(), headers)
            self.assertEqual(status, expected, reply)


if __name__ == "__main__":
    main()
