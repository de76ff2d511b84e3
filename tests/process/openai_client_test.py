#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the official `openai` Python client against a server.

    openai_client_test.py --base-url http://127.0.0.1:8080/v1 --model demo [--api-key KEY]
    openai_client_test.py --start PROGRAM [ARGUMENT...]

PROGRAM prints one JSON line {"base_url": ..., "model": ...} when it serves, and ends when its standard input does.
Exit status: 0 all right, 1 a check failed, 4 the client is not installed (skipped).
"""

import argparse
import concurrent.futures
import json
import subprocess
import sys
import urllib.request

try:
    import openai
except ImportError:
    print("skipped: the Python package openai is not installed")
    sys.exit(4)

QUESTION = [{"role": "user", "content": "Count from one to five, please."}]


class Checks:
    def __init__(self, base_url, model, api_key):
        self.base_url = base_url
        self.model = model
        self.api_key = api_key
        self.client = openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=120)

    def chat(self, **more):
        settings = {"model": self.model, "messages": QUESTION, "temperature": 0, "max_tokens": 24, **more}
        return self.client.chat.completions.create(**settings)

    def text(self, **more):
        settings = {"model": self.model, "prompt": "Once upon a time", "temperature": 0, "max_tokens": 12, **more}
        return self.client.completions.create(**settings)

    def stream_of_chat(self, **more):
        chunks = list(self.chat(stream=True, stream_options={"include_usage": True}, **more))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        return chunks, text

    def check_models(self):
        names = [model.id for model in self.client.models.list()]
        assert self.model in names, names
        assert self.client.models.retrieve(self.model).id == self.model

    def check_whole_chat(self):
        answer = self.chat()
        assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-"), answer
        assert answer.model == self.model and answer.created > 1_600_000_000, answer
        choice = answer.choices[0]
        assert choice.message.role == "assistant" and choice.message.content, choice
        assert choice.finish_reason in ("stop", "length"), choice
        usage = answer.usage
        assert usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 24, usage
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
        if choice.finish_reason == "length":
            assert usage.completion_tokens == 24, usage

    def check_stream_equals_whole(self):
        whole = self.chat()
        chunks, text = self.stream_of_chat()
        assert text == whole.choices[0].message.content, (text, whole)
        assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
        assert len({chunk.id for chunk in chunks}) == 1
        reasons = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
        assert reasons == [whole.choices[0].finish_reason], reasons
        assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
        assert all(chunk.usage is None for chunk in chunks[:-1])

    def check_length(self):
        answer = self.chat(max_tokens=3, extra_body={"ignore_eos": True})
        assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 3, answer
        newer = self.chat(max_tokens=openai.NOT_GIVEN, max_completion_tokens=3, extra_body={"ignore_eos": True})
        assert newer.usage.completion_tokens == 3, newer

    def check_stop(self):
        text = self.chat().choices[0].message.content
        assert len(text) >= 4, text
        middle = len(text) // 2
        stop = text[middle : middle + 3]
        want = text[: text.index(stop)]
        answer = self.chat(stop=["\x01never", stop])
        assert answer.choices[0].message.content == want, (answer, want)
        assert answer.choices[0].finish_reason == "stop", answer
        chunks, streamed = self.stream_of_chat(stop=stop)
        assert streamed == want, (streamed, want)
        assert chunks[-2].choices[0].finish_reason == "stop", chunks[-2]

    def check_seed_and_choices(self):
        first = self.chat(temperature=1, seed=7, n=2)
        again = self.chat(temperature=1, seed=7, n=2)
        assert [c.index for c in first.choices] == [0, 1], first
        for one, other in zip(first.choices, again.choices):
            assert one.message.content == other.message.content, (first, again)
        texts = {self.chat(temperature=1, seed=seed).choices[0].message.content for seed in range(8)}
        assert len(texts) > 1, texts

    def check_logprobs(self):
        answer = self.chat(logprobs=True, top_logprobs=2)
        content = answer.choices[0].logprobs.content
        assert 0 < len(content) <= answer.usage.completion_tokens, answer
        for entry in content:
            assert entry.logprob <= 0 and len(entry.top_logprobs) == 2, entry
            assert entry.top_logprobs[0].logprob >= entry.top_logprobs[1].logprob, entry
            assert entry.top_logprobs[0].logprob >= entry.logprob - 1e-4, entry  # greedy chose the likeliest
        spelled = b"".join(bytes(entry.bytes) for entry in content).decode(errors="replace")
        assert spelled.startswith(answer.choices[0].message.content), (spelled, answer)
        older = self.text(logprobs=2).choices[0].logprobs
        assert len(older.tokens) == len(older.token_logprobs) == len(older.top_logprobs) == len(older.text_offset) > 0
        chunks = list(self.chat(stream=True, logprobs=True))
        streamed = sum(len(c.choices[0].logprobs.content) for c in chunks if c.choices and c.choices[0].logprobs)
        assert streamed == len(content), (streamed, len(content))

    def check_text_completions(self):
        one = self.text()
        assert one.object == "text_completion" and one.choices[0].text, one
        two = self.text(prompt=["Once upon a time", "The end"])
        assert len(two.choices) == 2 and two.choices[0].text == one.choices[0].text, (one, two)
        streamed = "".join(c.choices[0].text for c in self.text(stream=True) if c.choices)
        assert streamed == one.choices[0].text, (streamed, one)
        ids = self.text(prompt=[1, 2, 3])
        assert ids.usage.prompt_tokens == 3, ids

    def refused(self, kind, call, code=None, param=None):
        try:
            call()
        except kind as error:
            assert error.body["message"], error
            assert code is None or error.code == code, error
            assert param is None or error.param == param, error
            return
        raise AssertionError(f"no {kind.__name__}")

    def check_errors(self):
        self.refused(openai.BadRequestError, lambda: self.chat(temperature=3), param="temperature")
        self.refused(openai.BadRequestError, lambda: self.chat(top_p=0), param="top_p")
        self.refused(openai.BadRequestError, lambda: self.chat(messages=[]), param="messages")
        self.refused(openai.BadRequestError, lambda: self.chat(extra_body={"temprature": 1}), param="temprature")
        self.refused(openai.BadRequestError, lambda: self.chat(extra_body={"logit_bias": {"-1": 1}}), param="logit_bias")
        self.refused(openai.BadRequestError, lambda: self.text(prompt=""), param="prompt")
        self.refused(openai.BadRequestError, lambda: self.text(prompt=[10**9]), param="prompt")
        self.refused(openai.BadRequestError, lambda: self.text(prompt=[1] * 300_000), code="context_length_exceeded")
        self.refused(openai.NotFoundError, lambda: self.chat(model="no-such-model"), code="model_not_found")
        self.refused(openai.NotFoundError, lambda: self.client.models.retrieve("no-such-model"), code="model_not_found")
        assert self.chat().choices[0].message.content

    def check_disconnect(self):
        for _ in range(5):
            stream = self.chat(stream=True, max_tokens=24, extra_body={"ignore_eos": True})
            next(iter(stream))
            stream.close()
        assert self.chat().choices[0].message.content

    def check_many_at_once(self):
        want = self.chat().choices[0].message.content
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self.chat().choices[0].message.content, range(16)))
        assert answers == [want] * 16, answers

    def check_health(self):
        root = self.base_url.removesuffix("/").removesuffix("/v1")
        with urllib.request.urlopen(f"{root}/health", timeout=10) as response:
            assert response.status == 200 and json.load(response)["status"] == "ok"

    def run(self):
        for name in [name for name in dir(self) if name.startswith("check_")]:
            getattr(self, name)()
            print(f"ok   {name.removeprefix('check_').replace('_', ' ')}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url")
    parser.add_argument("--model")
    parser.add_argument("--api-key", default="none-is-asked-for")
    parser.add_argument("--start", nargs=argparse.REMAINDER, metavar="PROGRAM")
    options = parser.parse_args()
    if not options.start:
        Checks(options.base_url, options.model, options.api_key).run()
        return
    with subprocess.Popen(options.start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        place = json.loads(server.stdout.readline())
        Checks(place["base_url"], place["model"], options.api_key).run()
        server.stdin.close()
        assert server.wait(timeout=30) == 0, server.returncode


if __name__ == "__main__":
    main()
