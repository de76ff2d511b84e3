#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `troupe tokenize` with PyPI `tokenizers` on random strings.

    python3 tools/tokenizer_differential.py --troupe build/release/troupe [--strings 100000] [--seed 1]

Makes several tokenizers (Qwen2's and Llama 3's way of splitting words, GPT-2's, odd added tokens), encodes and decodes
random strings with both programs, prints a table, and exits with 1 at the first table row that has a difference.
Needs `pip install tokenizers`.
"""
import argparse
import datetime
import json
import pathlib
import platform
import random
import subprocess
import sys
import tempfile
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)

SCRIPTS = {
    "latin": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZàéîõüßøłžşİıſK",
    "greek": "αβγδεζηθικλμνξοπρστυφχψωΑΒΓΔΩάέή", "cyrillic": "абвгдежзиклмнопрстуфхцчшщыэюяЖШЯёйї",
    "han": "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生",
    "kana": "あいうえおかきくけこがぎぐアイウエオカキクケコヴパーゔ", "hangul": "가나다라마바사아자차카타파하한국어말",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي", "hebrew": "אבגדהוזחטיכלמנסעפצקרשת", "thai": "กขคงจฉชซญดตถทธนบปพฟมยรลวสหอะาิีุู",
    "devanagari": "अआइईउऊकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसहािीुूेैोौ्ंः",
}
PUNCTUATION = ".,;:!?'\"`~@#$%^&*()-_=+[]{}<>/\\|…—–“”‘’«»¿¡§°€£¥·•→←≤≥≠×÷"
DIGITS = "0123456789٠١٢٣٤٥६७८９①Ⅷ½²"
SPACES = "     \t\n\r\u00a0\u2003\u2028\u3000\u0085\u180e\u200b\ufeff\u000b\u000c\u001c"
MARKS = "\u0301\u0300\u0308\u0327\u0323\u0345\u0334\u093c\u094d\u3099\u309a\u0e48\u064b\u0651\u05b0\u1dca\u1abf"
EMOJI = "😀🎉👍🏽❤️🔥✨🚀👨‍👩‍👧‍👦🇩🇪🏳️‍🌈🤷🏾‍♀️☕️"
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "'ſ", "'Re", "don't", "I'LL"]


# Letters, digits and marks that Unicode 15 and 16 added: the wheel of tokenizers 0.23 knows them, PCRE2 10.42 (Unicode 14)
# does not yet. See docs/tokenizer.md.
YOUNG = """
1C89-1C8A A7CB-A7CD A7DA-A7DC 105C0-105F3 10D40-10D65 10D6F-10D85 10EC2-10EC4 1123F-11240
11380-11389 1138B 1138E 11390-113B5 113B7 113D1 113D3 116D0-116E3 11BC0-11BE0 11BF0-11BF9 11F02
11F04-11F10 11F12-11F33 11F50-11F59 1342F 13441-13446 13460-143FA 16100-1611D 16130-16139
16D40-16D6C 16D70-16D79 18CFF 1B132 1B155 1CCF0-1CCF9 1D2C0-1D2D3 1DF25-1DF2A 1E030-1E06D
1E4D0-1E4EB 1E4F0-1E4F9 1E5D0-1E5ED 1E5F0-1E5FA 2B739 2EBF0-2EE5D 31350-323AF
"""


def ranges(text):
    for part in text.split():
        first, _, last = part.partition("-")
        yield range(int(first, 16), int(last or first, 16) + 1)


def compared():
    young = {c for r in ranges(YOUNG) for c in r}
    return [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs") and c not in young]


ANY = compared()


def word(r):
    alphabet = SCRIPTS[r.choice(list(SCRIPTS))]
    return "".join(r.choice(alphabet) for _ in range(r.randint(1, 12)))


def piece(r, specials):
    kind = r.randrange(14)
    if kind < 4:
        return r.choice(["", " ", " "]) + word(r)
    if kind == 4:
        return "".join(r.choice(DIGITS) for _ in range(r.randint(1, 9)))
    if kind == 5:
        return "".join(r.choice(PUNCTUATION) for _ in range(r.randint(1, 6)))
    if kind == 6:
        return "".join(r.choice(SPACES) for _ in range(r.randint(1, 8)))
    if kind == 7:
        return r.choice([" ", "\n", "\r\n", "\t"]) * r.randint(1, 20)
    if kind == 8:
        return "".join(r.choice(EMOJI) for _ in range(r.randint(1, 5)))
    if kind == 9:
        base = r.choice(SCRIPTS[r.choice(list(SCRIPTS))])
        return base + "".join(r.choice(MARKS) for _ in range(r.randint(1, 4)))
    if kind == 10:
        return r.choice(CONTRACTIONS)
    if kind == 11:
        return r.choice(specials) + r.choice(["", "", " ", "  ", "x", "_", "é"]) if specials else word(r)
    if kind == 12:
        return "".join(chr(r.choice(ANY)) for _ in range(r.randint(1, 6)))
    return unicodedata.normalize(r.choice(["NFC", "NFD", "NFKD"]), word(r))


def text(r, specials):
    size = r.choice([0, 1, 1, 2, 3, 5, 8, 13, 30])
    parts = [piece(r, specials) for _ in range(size)]
    if r.random() < 0.02:
        parts.append(r.choice([word(r), "a", "ab", " ", "\n", "0", "的", "!", " \n", "á", "👍"]) * r.randint(50, 1500))
    return "".join(parts)


def corpus(seed):
    r = random.Random(seed)
    common = [word(r) for _ in range(600)]
    for _ in range(4000):
        yield " ".join(r.choice(common) if r.random() < 0.9 else piece(r, []) for _ in range(12))


def train(split, size, normalizer=None, seed=7):
    t = Tokenizer(models.BPE())
    t.normalizer = normalizer
    t.pre_tokenizer = split
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(corpus(seed), trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def split_by(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def qwen(size):
    t = train(split_by(QWEN2), size, normalizers.NFC())
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    t.add_tokens([AddedToken("<tool_call>", normalized=False), AddedToken("</think>", normalized=False)])
    return json.loads(t.to_str())


def llama(size):
    t = train(split_by(LLAMA3), size)
    t.add_special_tokens(["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"])
    bos = t.token_to_id("<|begin_of_text|>")
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", bos)])])
    file = json.loads(t.to_str())
    file["model"]["ignore_merges"] = True
    # Tokens that no merge reaches are what ignore_merges is about.
    file["model"]["merges"] = [m for i, m in enumerate(file["model"]["merges"]) if i % 5]
    return file


def plain(size, prefix_space):
    t = train(pre_tokenizers.ByteLevel(add_prefix_space=prefix_space), size)
    t.add_special_tokens(["<|endoftext|>"])
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    file = json.loads(t.to_str())
    file["model"]["merges"] = [" ".join(m) for m in file["model"]["merges"]]  # as older files have them
    return file


def flags(size):
    t = train(split_by(QWEN2), size, normalizers.NFC())
    t.add_special_tokens([AddedToken("<s>", normalized=False), AddedToken("<mask>", lstrip=True, normalized=False),
                          AddedToken("<end>", rstrip=True, normalized=False)])
    t.add_tokens([AddedToken("cat", single_word=True, normalized=False), AddedToken("dog", single_word=True),
                  AddedToken("caf\u00e9"), AddedToken("e\u0301e\u0301"), AddedToken("<both>", lstrip=True, rstrip=True),
                  AddedToken("<mask><mask>", normalized=False), AddedToken("  ", normalized=False),
                  AddedToken("的一"), AddedToken(" a ", rstrip=True, lstrip=True), AddedToken("<s><")])
    return json.loads(t.to_str())


def bytes_only():
    return json.loads(train(split_by(LLAMA3), 256, normalizers.NFC()).to_str())


def run_troupe(troupe, folder, lines, *options):
    command = [str(troupe), "tokenize", "--model", str(folder), *options]
    done = subprocess.run(command, input="\n".join(map(json.dumps, lines)) + "\n", capture_output=True, text=True)
    out = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    if len(out) != len(lines):
        sys.exit(f"{' '.join(command)}: {len(lines)} lines in, {len(out)} out\n{done.stderr}")
    return out


def compare(what, inputs, expected, actual):
    wrong = [i for i in range(len(inputs)) if expected[i] != actual[i]]
    for i in wrong[:3]:
        print(f"DIFFERENCE in {what}:\n  input    {json.dumps(inputs[i])}\n  expected {json.dumps(expected[i])}"
              f"\n  actual   {json.dumps(actual[i])}")
    return len(wrong)


def check(name, file, count, r, troupe, folder):
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(file, ensure_ascii=False), encoding="utf-8")
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    size = reference.get_vocab_size()
    specials = [t["content"] for t in file["added_tokens"]]
    texts = [text(r, specials) for _ in range(count)]
    ids = [e.ids for e in reference.encode_batch(texts, add_special_tokens=False)]
    wrong = compare(f"{name}, encode", texts, ids, run_troupe(troupe, folder, texts))
    wrong += compare(f"{name}, decode", ids, reference.decode_batch(ids, skip_special_tokens=False),
                     run_troupe(troupe, folder, ids, "--decode"))
    # Ids that no text encodes to: broken characters, special tokens between the bytes of one.
    noise = [[r.randrange(size) for _ in range(r.randint(0, 30))] for _ in range(count)]
    wrong += compare(f"{name}, decode of random ids", noise, reference.decode_batch(noise, skip_special_tokens=False),
                     run_troupe(troupe, folder, noise, "--decode"))
    tokens = sum(map(len, ids))
    print(f"| {name} | {size} | {count} | {sum(len(t.encode()) for t in texts)} | {tokens} | {2 * count} | {wrong} |", flush=True)
    return wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--troupe", type=pathlib.Path, default=pathlib.Path("build/release/troupe"))
    arguments.add_argument("--strings", type=int, default=100_000, help="in total")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    if not options.troupe.exists():
        sys.exit(f"{options.troupe}: there is no such program; build it first or name it with --troupe")
    makers = {
        "Qwen2 pattern, NFC": lambda: qwen(1_000), "Qwen2 pattern, NFC, larger": lambda: qwen(12_000),
        "Llama 3 pattern, ignore_merges": lambda: llama(4_000), "ByteLevel, merges as strings": lambda: plain(2_000, False),
        "ByteLevel, prefix space": lambda: plain(600, True), "added tokens with flags": lambda: flags(1_500),
        "bytes only": bytes_only,
    }
    print(f"{datetime.date.today()}, seed {options.seed}, tokenizers {tokenizers.__version__}, Python {platform.python_version()}, "
          f"Unicode {unicodedata.unidata_version}\n")
    print("| tokenizer | ids | strings | bytes | tokens | decodes | differences |\n|---|---|---|---|---|---|---|")
    share, rest = divmod(options.strings, len(makers))
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        for index, (name, make) in enumerate(makers.items()):
            r = random.Random(f"{options.seed} {name}")
            wrong += check(name, make(), share + (index < rest), r, options.troupe, pathlib.Path(scratch) / str(index))
    print(f"\n{options.strings} strings, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
