"""YAML that is wrong: whole files, and ways to damage one that is right."""

from random import Random

from fuzz_values import VALUES
from fuzz_words import mutated

BOMB = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 9)
)
WHOLE = (
    b"", b"\n", b"---\n", b"# nothing\n", b"null\n", b"3\n", b"text\n", b"[a, b]\n", b"- epochs: 2\n", b"true\n",
    b"{}\n", b"\xff\xfe\x00", b"\x00", b"\x80\x81\n", b"\xef\xbb\xbfepochs: 2\n", "epochs: 2\n".encode("utf-16"),
    b"%PDF-1.4\n", b"\t\tepochs: 2\n", b"epochs: 2\n---\nepochs: 3\n", b"a: &a [*a]\n", b"a: &a {b: *a}\n",
    b"epochs: *nope\n", BOMB, b"<<: {epochs: 2}\n", b"<<: 3\n", b"x: &x {epochs: 3}\n<<: *x\n",
    b"epochs: 2\nepochs: 3\n", b"? [a, b]\n: 3\n", b"1: 2\n", b"null: 3\n", b"true: 3\n", b"1.5: x\n",
    b"2024-01-01: x\n", b"epochs: 2024-01-01\n", b"epochs: !!python/object/apply:os.getcwd []\n",
    b"epochs: !!set {a}\n", b"seed: !!binary aGk=\n", b"model: !!omap [a: 1]\n", b"epochs: !nope 3\n", b"[" * 2000,
    b"{a: " * 500, b"a:\n" + b" " * 3000 + b"b: 1\n", b'"', b"'", b"&", b"*", b"!", b"defaults: 3\n",
    b"defaults: [3]\n", b"defaults: [null]\n", b"defaults: [{}]\n", b"defaults: [nope]\n",
    b"defaults: [_self_, _self_]\n", b"defaults: [{model: fcc}]\n", b"defaults: [{model: fc, loss: mse}]\n",
    b"defaults: [override model: fc]\n", b"defaults:\n  - override /nope: x\n", b"defaults: [{optional nope: x}]\n",
    b"defaults: [mine]\n", b"defaults: [/experiment/mine]\n", b"defaults: ['${nope}']\n",
    b"defaults: [{/model: '${nope}'}]\n", b"defaults: {model: fc}\n", b"defaults: [/model/fc@nope]\n", b"hydra: 3\n",
    b"hydra: {run: {dir: 3}}\n", b"hydra: {nope: 3}\n", b"hydra: {searchpath: [x]}\n", b"epochs: ${epochs}\n",
    b"epochs: ${nope}\n", b"_target_: 3\n", b"_target_: null\n", b"model: null\n", b"model: []\n", b"monitor: 3\n",
    b"monitor: null\n", b"monitor: {mode: [a]}\n", b"study: 3\n", b"study: {tables: 3}\n", b"name: [a]\n", b"'': 3\n",
    b"a.b: 3\n", b"epochs.x: 3\n", b"'a b': 3\n", b"__class__: 3\n", b"items: 3\n", b"keys: 3\n", b"_content: 3\n",
    b"experiment: x\n", b"dataset: {_target_: 3}\n", b"optimizer: {lr: {a: 1}}\n",
)  # fmt: skip
PACKAGES = (
    b"", b"# @package _global_\n", b"# @package\n", b"# @package nope\n", b"# @package hydra\n", b"# @package a..b\n",
    b"# @package model\n",
)  # fmt: skip
ENDINGS = (b"", b": [", b": &a", b": *a", b": ${nope}", b": {a: 1}", b": - 1")


def damaged(rng: Random, content: bytes) -> bytes:
    """A file with bytes flipped, lines dropped, doubled or swapped, indentation broken, or cut short."""
    for _ in range(rng.randrange(1, 3)):
        content = rng.choice((bytes_damaged, line_damaged, line_damaged, line_damaged))(rng, content)
    return content


def bytes_damaged(rng: Random, content: bytes) -> bytes:
    at = rng.randrange(max(len(content), 1))
    return rng.choice((
        content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :],
        content[:at],
        b"\xef\xbb\xbf" + content,
        content + b"\n" + rng.choice(WHOLE),
    ))  # fmt: skip


def line_damaged(rng: Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    line = lines[at]
    key, colon, _ = line.partition(b":")
    value = rng.choice(VALUES).encode("utf-8", "surrogatepass")
    lines[at : at + 1] = rng.choice((
        [],
        [line, line],
        [*lines[at + 1 : at + 2], line],
        [b"  " + line],
        [line.lstrip()],
        [b"\t" + line],
        [key + colon + b" " + value if colon else value],
        [key + rng.choice(ENDINGS)],
        [mutated(rng, line.decode("utf-8", "replace")).encode("utf-8", "replace")],
    ))  # fmt: skip
    return b"\n".join(lines)
