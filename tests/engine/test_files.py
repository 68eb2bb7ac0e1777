"""Files written whole or not at all: what stands under their names at any moment."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlhw.files import replacing

CALLS = ("unlink", "link", "rename", "replace", "fsync")


def put(path: Path, content: bytes, keep: Path | None = None) -> None:
    with replacing(path, keep) as temporary:
        temporary.write_bytes(content)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[bytes | None]]:
    """What a path holds before and after each call of the system that could change it."""

    def watch(path: Path) -> list[bytes | None]:
        seen: list[bytes | None] = []

        def watched(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*words: Any, **options: Any) -> Any:
                seen.append(path.read_bytes() if path.exists() else None)
                try:
                    return real(*words, **options)
                finally:
                    seen.append(path.read_bytes() if path.exists() else None)

            return call

        for name in CALLS:
            monkeypatch.setattr(os, name, watched(getattr(os, name)))
        return seen

    return watch


def test_a_file_that_is_replaced_is_there_at_every_moment(
    tmp_path: Path, looked_at: Callable[[Path], list[bytes | None]]
) -> None:
    last, previous = tmp_path / "last", tmp_path / "previous"
    put(last, b"one")
    put(last, b"two", keep=previous)
    seen = looked_at(last)
    put(last, b"three", keep=previous)
    assert len(seen) >= 8
    assert seen == sorted(seen, key=[b"two", b"three"].index)
    assert (last.read_bytes(), previous.read_bytes()) == (b"three", b"two")
    assert {path.name for path in tmp_path.iterdir()} == {"last", "previous"}


def test_where_a_file_has_one_name_alone_the_one_before_is_kept_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*words: Any, **options: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    last, previous = tmp_path / "last", tmp_path / "previous"
    for content in (b"one", b"two", b"three"):
        put(last, content, keep=previous)
    assert (last.read_bytes(), previous.read_bytes()) == (b"three", b"two")


def test_what_breaks_off_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    put(path, b"whole")

    def half() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_the_systems_errors_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*words: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        put(tmp_path / "file", b"much")
    assert caught.value.filename == str(tmp_path / "file")
