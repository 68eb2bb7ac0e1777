"""One-letter mistakes, always the same ones for the same word."""

from collections.abc import Callable, Collection
from zlib import crc32

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def substitute(word: str, at: int) -> str:
    letter = ALPHABET[(ALPHABET.find(word[at]) + 7) % len(ALPHABET)]
    return word[:at] + letter + word[at + 1 :]


def drop(word: str, at: int) -> str:
    return word[:at] + word[at + 1 :]


def double(word: str, at: int) -> str:
    return word[: at + 1] + word[at:]


def swap(word: str, at: int) -> str:
    return word[:at] + word[at : at + 2][::-1] + word[at + 2 :]


MISTAKES: tuple[Callable[[str, int], str], ...] = (substitute, drop, double, swap)


def misspelt(word: str, taken: Collection[str], turn: int) -> str:
    """`word` with one letter wrong, and no key of `taken`. Another `turn`, another mistake at another letter.

    Of a word of one letter nothing is left but its double.
    """
    if len(word) == 1:
        return double(word, 0)
    start = crc32(word.encode())
    for attempt in range(turn, turn + 100):
        wrong = MISTAKES[attempt % len(MISTAKES)](word, (start + attempt) % len(word))
        if wrong not in taken and wrong != word and wrong.replace("/", "").isidentifier():
            return wrong
    raise AssertionError(f"every misspelling of {word} is taken")
