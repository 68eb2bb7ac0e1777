"""Thousands of bad commands, each judged: `make fuzz`. What fails is printed with the line that types it again."""

import argparse
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing import get_context
from random import Random
from time import perf_counter

import fuzz_files
import fuzz_words
from fuzz_door import Case, call
from fuzz_oracle import complaints

KINDS = (*fuzz_words.KINDS, *fuzz_files.KINDS)
SHOWN = 3  # cases of a complaint


def case(seed: int, index: int) -> Case:
    """The same one for the same numbers, whatever else is made; the kinds take turns."""
    kind = KINDS[index % len(KINDS)]
    return replace(kind(Random(f"{seed}/{index}")), kind=kind.__name__)


def judged(numbers: tuple[int, int]) -> tuple[int, str, list[str], float]:
    """The case's index, what it said, what is wrong with that, and its seconds."""
    asked, start = case(*numbers), perf_counter()
    try:
        outcome = call(asked)
    except Exception as error:
        return numbers[1], "", [f"the fuzzing itself fails: {error!r}"], 0.0
    return numbers[1], outcome.err, list(complaints(asked, outcome)), perf_counter() - start


def masked(line: str) -> str:
    """A line's template: without values, numbers and quoted words."""
    line = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", line.strip())
    line = re.sub(r"=\S+?(?=[:;,)]?(\s|$))", "=…", line)
    line = re.sub(r"did you mean \S+\?", "did you mean …?", re.sub(r"\(\w+ has .*?\)", "(… has …)", line))
    return re.sub(r"\d+", "N", line)


def tell(seed: int, found: Iterable[tuple[int, str, list[str], float]], templates: bool) -> int:
    """Print the summary; how many cases failed."""
    said, wrong, slowest = Counter[str](), defaultdict[str, list[int]](list), (0.0, 0)
    for index, line, complaint, seconds in found:
        said[masked(line)] += 1
        slowest = max(slowest, (seconds, index))
        for text in complaint:
            wrong[masked(text)].append(index)
    for text, indices in sorted(wrong.items(), key=lambda item: -len(item[1])):
        print(f"\n{len(indices)} times: {text}")
        for index in indices[:SHOWN]:
            print(f"  {index} {shown(case(seed, index))}\n    {judged((seed, index))[1:3]}"[:1500])
    if templates:
        print("\n".join(f"{count:5} {text}" for text, count in sorted(said.items(), key=lambda item: item[0])))
    failed = {index for indices in wrong.values() for index in indices}
    print(f"{sum(said.values())} commands, {len(said)} different lines, {len(failed)} failed")
    print(f"slowest: {slowest[1]}, in {slowest[0]:.1f} s")
    return len(failed)


def shown(asked: Case) -> str:
    files = {name: content[:300] for name, content in asked.files.items() if content != fuzz_files.saved().get(name)}
    return f"{asked.kind}: {asked.program} {[word[:200] for word in asked.words]} {files or ''}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="*", help="the numbers of these cases alone")
    parser.add_argument("--kind", help="of this kind alone")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--templates", action="store_true", help="print each different line")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    indices = args.only or range(args.cases)
    numbers = [(args.seed, i) for i in indices if args.kind in (None, KINDS[i % len(KINDS)].__name__)]
    with get_context("spawn").Pool(args.jobs) as pool:
        found = list(pool.imap_unordered(judged, numbers, chunksize=20))
    sys.exit(tell(args.seed, found, args.templates) > 0)


if __name__ == "__main__":
    main()
