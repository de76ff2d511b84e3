#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A cluster answers as one rank does, whatever its shape."""

from cluster import DEMO_MODEL, TestCase, generate, main, troupe

QUESTIONS = [
    "What is 27 + 15?",
    "What is 480 - 77?",
    "Who are you?",
    "Tell me a story.",
    "Tell me a story about a dog named Max.",
]


class Serve(TestCase):
    @classmethod
    def setUpClass(cls):
        prompts = [word for question in QUESTIONS for word in ("--prompt", question)]
        cls.expected = [answer["text"] for answer in generate(DEMO_MODEL, "--chat", "--max-tokens", 0, *prompts)]

    def check_answers(self, cluster, questions=len(QUESTIONS)):
        for question, text in list(zip(QUESTIONS, self.expected))[:questions]:
            self.assertEqual(cluster.ask(question).text, text, question)

    def test_two_ranks_in_processes_answer_as_one_rank_does(self):
        cluster = self.enter_cluster(tensor=2)
        self.check_answers(cluster)
        self.assertEqual(len(cluster.node.look_at_ranks()), 2)

    def test_two_ranks_in_the_node_process_answer_as_one_rank_does(self):
        cluster = self.enter_cluster(tensor=2, isolation="thread")
        self.check_answers(cluster)
        self.assertEqual(cluster.node.look_at_ranks(), [])

    def test_two_pipeline_stages_answer_as_one_rank_does(self):
        self.check_answers(self.enter_cluster(pipeline=2))

    def test_tensor_times_pipeline_answers_as_one_rank_does(self):
        self.check_answers(self.enter_cluster(tensor=2, pipeline=2), questions=3)

    def test_many_clients_at_once_get_their_own_answers(self):
        cluster = self.enter_cluster(tensor=2)
        asked = [(text, cluster.ask_streaming(question)) for question, text in zip(QUESTIONS * 3, self.expected * 3)]
        for text, child in asked:
            self.assertEqual(child.finish().text, text)
        router = cluster.wait_for_status(lambda s: s["router"]["completed"] == len(asked), "all requests completed")[
            "router"
        ]
        self.assertEqual((router["accepted"], router["live"], router["failed"]), (len(asked), 0, 0))

    def test_the_question_may_come_from_standard_input(self):
        cluster = self.enter_cluster()
        result = troupe("ask", "--quiet", "--node", cluster.node.address, stdin=QUESTIONS[0])
        self.assertEqual(result.text, self.expected[0])


if __name__ == "__main__":
    main()
