import gzip
import io
import re
import subprocess
import sys
import tarfile
import textwrap
import time

import pytest
from small_sets import md5

from dlhw.dataset import fetch as fetch_module
from dlhw.dataset.fetch import Remote, fetch
from dlhw.errors import UserError

CONTENT = bytes(range(256)) * 4000


def left_over(folder):
    """Files that a reader would see, and half-written ones."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_file_arrives_whole_and_once(serve, tmp_path):
    server = serve({"/a": CONTENT})
    for _ in range(2):
        fetch(Remote([f"{server.url}/a"], md5(CONTENT)), tmp_path / "deep" / "a", what="Set: a")
    assert (tmp_path / "deep" / "a").read_bytes() == CONTENT
    assert left_over(tmp_path / "deep") == ["a"]
    assert len(server.requests) == 1


@pytest.mark.parametrize("bad", ["missing", "short", "silent", "wrong", "refused", "unknown-host"])
def test_the_next_mirror_is_tried(serve, tmp_path, monkeypatch, bad):
    monkeypatch.setattr(fetch_module, "TIMEOUT", 0.4)
    contents = {"/short": CONTENT, "/silent": CONTENT, "/wrong": CONTENT[:-1] + b"!", "/good": CONTENT}
    server = serve(contents, cut=("/short",), stall=("/silent",))
    urls = {"refused": "http://127.0.0.1:9/x", "unknown-host": "http://no-such-host.invalid/x"}
    start = time.monotonic()
    remote = Remote([urls.get(bad, f"{server.url}/{bad}"), f"{server.url}/good"], md5(CONTENT))
    fetch(remote, tmp_path / "a", what="Set: a")
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert left_over(tmp_path) == ["a"]
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("missing", r"HTTP 404"),
        ("short", r"broke off after 512,000 of 1,024,000 bytes"),
        ("silent", r"silent for 0.4 s"),
        ("wrong", r"sent 1,024,000 bytes with md5 \w{32}, expected \w{32}"),
    ],
)
def test_when_all_mirrors_fail_one_line_says_what_to_put_where(serve, tmp_path, monkeypatch, bad, reason):
    monkeypatch.setattr(fetch_module, "TIMEOUT", 0.4)
    contents = {"/short": CONTENT, "/silent": CONTENT, "/wrong": CONTENT[:-1] + b"!"}
    server = serve(contents, cut=("/short",), stall=("/silent",))
    remote = Remote([f"{server.url}/{bad}", "http://127.0.0.1:9/a"], md5(CONTENT))
    with pytest.raises(UserError) as raised:
        fetch(remote, tmp_path / "a", what="Set: a")
    text = str(raised.value)
    assert text.startswith("Set: a: could not be downloaded (127.0.0.1:")
    assert "\n" not in text
    assert text.endswith(f"check the network, or put a (from {server.url}/{bad}) into {tmp_path} by hand")
    assert re.search(reason, text)
    assert "127.0.0.1:9: " in text
    assert left_over(tmp_path) == []


def test_a_file_that_lies_there_is_checked_and_kept(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"^Set: a: found a with md5 \w+, expected \w+; delete it"):
        fetch(Remote(["http://127.0.0.1:9/a"], md5(CONTENT)), tmp_path / "a", what="Set: a")
    assert (tmp_path / "a").read_bytes() == b"mine"


def test_eight_processes_download_once(serve, tmp_path):
    packed = gzip.compress(CONTENT)
    server = serve({"/a.gz": packed})
    program = """
        import sys
        from pathlib import Path
        from dlhw.dataset.fetch import Remote, fetch
        fetch(Remote([sys.argv[1]], sys.argv[2]), Path(sys.argv[3]), unpack="gz", what="Set: a")
        assert len(Path(sys.argv[3]).with_suffix("").read_bytes()) == 1024000
    """
    arguments = [f"{server.url}/a.gz", md5(packed), str(tmp_path / "a.gz")]
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *arguments]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == [""] * 8
    assert [process.returncode for process in processes] == [0] * 8
    assert len(server.requests) == 1
    assert left_over(tmp_path) == ["a", "a.gz"]


def tar(names, kind=tarfile.REGTYPE):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(CONTENT), kind, "/etc/passwd"
            archive.addfile(info, io.BytesIO(CONTENT))
    return buffer.getvalue()


def test_a_tar_is_unpacked_beside_itself(tmp_path):
    content = tar(["folder/one", "folder/two"])
    (tmp_path / "a.tar.gz").write_bytes(content)
    fetch(Remote([], md5(content)), tmp_path / "a.tar.gz", unpack="tar", what="Set")
    assert left_over(tmp_path) == ["a.tar.gz", "folder"]
    assert (tmp_path / "folder" / "two").read_bytes() == CONTENT


@pytest.mark.parametrize(("name", "kind"), [("../../outside", tarfile.REGTYPE), ("link", tarfile.SYMTYPE)])
def test_a_tar_that_reaches_outside_is_refused(tmp_path, name, kind):
    content = tar([name], kind)
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(UserError, match=r"^Set: .*which is no plain file below its folder"):
        fetch(Remote([], md5(content)), tmp_path / "a.tar.gz", unpack="tar", what="Set")
    assert left_over(tmp_path) == ["a.tar.gz"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=f"^Set: could not be written to {tmp_path}/file: "):
        fetch(Remote([], ""), tmp_path / "file" / "a", what="Set")
