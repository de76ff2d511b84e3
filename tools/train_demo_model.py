#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the demo model of models/demo from nothing: writes its text, learns a tokenizer, trains, saves.

Needs PyTorch, tokenizers and safetensors (versions: see models/demo/README.md) and, for the full run, one GPU for about
four minutes. The text, the tokenizer and the starting weights depend on the seed alone; the trained weights also on the
GPU's arithmetic.

  tools/train_demo_model.py --out models/demo                        the whole thing
  tools/train_demo_model.py --out /tmp/x --steps 3 --rows 64 --batch 2   a quick look on a CPU
"""

import argparse
import concurrent.futures
import hashlib
import json
import math
import os
import pathlib
import random
import time

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from demo_model.talk import small_talk_turn, story_turn
from demo_model.tasks import held_out_questions, task_turn

ROW = 2048  # tokens in a training row, and the longest context
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "head_dim": 64,
    "hidden_act": "silu",
    "hidden_size": 256,
    "initializer_range": 0.02,
    "intermediate_size": 768,
    "max_position_embeddings": ROW,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "sliding_window": None,
    "use_sliding_window": False,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": 512,
}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END_OF_TEXT, TURN_START, TURN_END = 509, 510, 511
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
SYSTEM_PROMPTS = ["You are a helpful assistant.", "You are the demo model of Troupe.", "Answer the user's questions."]


def turn(rng):
    kind = rng.random()
    return story_turn(rng) if kind < 0.08 else small_talk_turn(rng) if kind < 0.16 else task_turn(rng)


def conversation(rng):
    """Messages of one conversation: [role, content]."""
    messages = [["system", rng.choice(SYSTEM_PROMPTS)]] if rng.random() < 0.15 else []
    for _ in range(rng.choice([1, 1, 1, 2, 3, 5, 8, 13])):
        question, answer = turn(rng)
        messages += [["user", question], ["assistant", answer]]
    return messages


# ---- tokenizer


def train_tokenizer(seed):
    rng = random.Random(seed)
    texts = [content for _ in range(20_000) for _, content in conversation(rng)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=END_OF_TEXT, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens(SPECIAL)
    assert [tokenizer.token_to_id(token) for token in SPECIAL] == [END_OF_TEXT, TURN_START, TURN_END]
    return tokenizer


# ---- rows of token ids; the answers' ids, which are to be learned, are marked


def encode_conversation(tokenizer, messages):
    ids, learned = [], []
    for role, content in messages:
        head = [TURN_START] + tokenizer.encode(f"{role}\n").ids
        body = tokenizer.encode(content).ids + [TURN_END]
        tail = tokenizer.encode("\n").ids
        ids += head + body + tail
        learned += [0] * len(head) + [int(role == "assistant")] * len(body) + [0] * len(tail)
    return ids + [END_OF_TEXT], learned + [0]


def make_rows(tokenizer_json, seeds):
    tokenizer = Tokenizer.from_str(tokenizer_json)
    rows = numpy.zeros((len(seeds), ROW + 1), dtype=numpy.int16)
    marks = numpy.zeros((len(seeds), ROW + 1), dtype=bool)
    for i, seed in enumerate(seeds):
        rng, ids, learned = random.Random(seed), [], []
        while len(ids) <= ROW:
            more_ids, more_learned = encode_conversation(tokenizer, conversation(rng))
            ids += more_ids
            learned += more_learned
        rows[i], marks[i] = ids[: ROW + 1], learned[: ROW + 1]
    return rows, marks


def make_all_rows(tokenizer, count, seed):
    seeds = [f"{seed} {i}" for i in range(count)]
    pieces = [seeds[i : i + 256] for i in range(0, count, 256)]
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(make_rows, [tokenizer.to_str()] * len(pieces), pieces))
    return numpy.concatenate([rows for rows, _ in parts]), numpy.concatenate([marks for _, marks in parts])


# ---- the model, with the parameter names of the Hugging Face layout


class RmsNorm(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(size))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), CONFIG["rms_norm_eps"])


class Attention(torch.nn.Module):
    def __init__(self, hidden, heads, kv_heads, head):
        super().__init__()
        self.shape = (heads, kv_heads, head)
        self.q_proj = torch.nn.Linear(hidden, heads * head, bias=False)
        self.k_proj = torch.nn.Linear(hidden, kv_heads * head, bias=False)
        self.v_proj = torch.nn.Linear(hidden, kv_heads * head, bias=False)
        self.o_proj = torch.nn.Linear(heads * head, hidden, bias=False)
        self.q_norm = RmsNorm(head)
        self.k_norm = RmsNorm(head)

    def forward(self, x, cos, sin):
        rows, tokens, _ = x.shape
        heads, kv_heads, head = self.shape

        def rotated(y):
            half = y.shape[-1] // 2
            return y * cos + torch.cat((-y[..., half:], y[..., :half]), -1) * sin

        q = rotated(self.q_norm(self.q_proj(x).view(rows, tokens, heads, head)).transpose(1, 2))
        k = rotated(self.k_norm(self.k_proj(x).view(rows, tokens, kv_heads, head)).transpose(1, 2))
        v = self.v_proj(x).view(rows, tokens, kv_heads, head).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(rows, tokens, heads * head))


class Mlp(torch.nn.Module):
    def __init__(self, hidden, inner):
        super().__init__()
        self.gate_proj = torch.nn.Linear(hidden, inner, bias=False)
        self.up_proj = torch.nn.Linear(hidden, inner, bias=False)
        self.down_proj = torch.nn.Linear(inner, hidden, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        hidden = c["hidden_size"]
        self.input_layernorm = RmsNorm(hidden)
        self.self_attn = Attention(hidden, c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"])
        self.post_attention_layernorm = RmsNorm(hidden)
        self.mlp = Mlp(hidden, c["intermediate_size"])

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Qwen3(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = torch.nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = torch.nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = RmsNorm(c["hidden_size"])
        frequency = c["rope_theta"] ** (-torch.arange(0, c["head_dim"], 2) / c["head_dim"])
        angle = torch.outer(torch.arange(ROW), frequency).repeat(1, 2)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                torch.nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * len(self.layers)) if into_residual else 1))

    def forward(self, ids, wanted):
        """Logits where `wanted` is set."""
        x = self.embed_tokens(ids).to(torch.bfloat16)
        cos, sin = (table[: ids.shape[1]].to(x.dtype) for table in (self.cos, self.sin))
        for layer in self.layers:
            x = layer(x, cos, sin)
        return F.linear(self.norm(x)[wanted], self.embed_tokens.weight)


# ---- training


def learning_rate(step, steps, peak=3e-3, warmup=200):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))))


def train(model, rows, marks, steps, batch, device):
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
        fused=device == "cuda",
    )
    rows, marks = torch.from_numpy(rows).to(device), torch.from_numpy(marks).to(device)
    start, generator = time.time(), torch.Generator().manual_seed(1)
    for step in range(steps):
        at = step % max(1, len(rows) // batch) * batch
        if at == 0:
            order = torch.randperm(len(rows), generator=generator)
        picked = order[at : at + batch].to(device)
        ids, wanted = rows[picked].long(), marks[picked][:, 1:]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        with torch.autocast(device, torch.bfloat16):
            logits = model(ids[:, :-1], wanted)
        loss = F.cross_entropy(logits.float(), ids[:, 1:][wanted])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 250 == 0 or step == steps - 1:
            print(f"step {step} of {steps}, loss {loss.item():.4f}, {time.time() - start:.2f} s", flush=True)


# ---- saving


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def save(folder, model, tokenizer):
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        "model." + name: p.detach().to(torch.bfloat16).cpu().contiguous() for name, p in model.state_dict().items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = {"bos_token_id": END_OF_TEXT, "eos_token_id": TURN_END, "pad_token_id": END_OF_TEXT}
    write_json(folder / "config.json", {**CONFIG, **ids})
    write_json(
        folder / "generation_config.json", {**ids, "eos_token_id": [TURN_END, END_OF_TEXT], "do_sample": False}
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            "clean_up_tokenization_spaces": False,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "model_max_length": ROW,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json"), *folder.glob("*.jinja")])
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (folder / "SHA256SUMS").write_text("".join(sums))
    with open(folder / "heldout.jsonl", "w") as file:
        for question in held_out_questions():
            file.write(json.dumps(question) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to write the model to")
    parser.add_argument("--steps", type=int, default=8500)
    parser.add_argument("--batch", type=int, default=32, help="rows of 2048 tokens in a step")
    parser.add_argument("--rows", type=int, default=60_000, help="rows of text to make")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.time()
    tokenizer = train_tokenizer(options.seed)
    print(f"tokenizer ready after {time.time() - start:.0f} s", flush=True)
    rows, marks = make_all_rows(tokenizer, options.rows, options.seed)
    print(f"{rows.size / 1e6:.0f} million tokens ready after {time.time() - start:.0f} s", flush=True)
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Qwen3(CONFIG).to(device)
    train(model, rows, marks, options.steps, options.batch, device)
    save(options.out, model, tokenizer)
    print(f"saved after {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
