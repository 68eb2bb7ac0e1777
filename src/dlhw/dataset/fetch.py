"""One file from the network: mirrors in turn, no silent server waited for, its hash checked, put in place whole.

Any number of processes may ask for the same file at once; one downloads, the others wait and find it there.
"""

import gzip
import hashlib
import http.client
import shutil
import ssl
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal
from urllib.parse import urlsplit

from filelock import FileLock
from tqdm import tqdm

from dlhw.errors import UserError

TIMEOUT = 20.0  # seconds, for a connection and for each read: a server that stalls is given up
CHUNK_BYTES = 2**18


@dataclass(frozen=True)
class Remote:
    """Where a file can be had from, tried in this order, and its md5."""

    urls: Sequence[str]
    md5: str


class FetchError(Exception):
    """Why one mirror failed, in a few words."""


def fetch(remote: Remote, path: Path, *, what: str, unpack: Literal["gz", "tar"] | None = None) -> None:
    """Have `path`, with the right md5, and what is packed in it beside it: `<path without .gz>`, or a tar's folder.

    A file that lies there already is used if its md5 is right and left alone, with an error, if not.
    Raises UserError that begins with `what` (set and file).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.exists():
                check_md5(path, remote.md5, what)
            else:
                _download_from_any(remote, path, what)
            if unpack == "gz":
                _unpack_gz(path)
            elif unpack == "tar":
                _unpack_tar(path, what)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise UserError(f"{what}: could not be written to {path.parent}: {error}") from None


def check_md5(path: Path, md5: str, what: str) -> None:
    """Raises UserError."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        raise UserError(
            f"{what}: found {path.name} with md5 {found}, expected {md5}; delete it to have it downloaded again, "
            f"or put the original there"
        )


def _download_from_any(remote: Remote, path: Path, what: str) -> None:
    failures = []
    for url in remote.urls:
        try:
            _download(url, path, remote.md5)
            return
        except FetchError as error:
            failures.append(f"{urlsplit(url).netloc}: {error}")
    raise UserError(
        f"{what}: could not be downloaded ({'; '.join(failures)}); check the network, or put {path.name} "
        f"(from {remote.urls[0]}) into {path.parent} by hand"
    )


def _download(url: str, path: Path, md5: str) -> None:
    """One try at one mirror. Raises FetchError."""
    part = path.with_name(f".{path.name}.part")  # one name for all: the lock is held, and a killed run's is reused
    digest = hashlib.md5(usedforsecurity=False)
    request = urllib.request.Request(url, headers={"User-Agent": "dlhw"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response, part.open("wb") as file:
            length = int(response.headers.get("Content-Length") or 0)
            bar = tqdm(total=length or None, desc=path.name, unit="B", unit_scale=True, disable=None, leave=False)
            with bar:
                while chunk := response.read(CHUNK_BYTES):
                    file.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
            size = file.tell()
        if length and size != length:
            raise FetchError(f"broke off after {size:,} of {length:,} bytes")
        if digest.hexdigest() != md5:
            raise FetchError(f"sent {size:,} bytes with md5 {digest.hexdigest()}, expected {md5}")
        part.replace(path)
    except TimeoutError:
        raise FetchError(f"silent for {TIMEOUT:g} s") from None
    except urllib.error.HTTPError as error:
        raise FetchError(f"HTTP {error.code}") from None
    except urllib.error.URLError as error:
        raise FetchError(
            f"silent for {TIMEOUT:g} s" if isinstance(error.reason, TimeoutError) else str(error.reason)
        ) from None
    except (http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
        raise FetchError(str(error) or type(error).__name__) from None
    finally:
        part.unlink(missing_ok=True)


def _unpack_gz(path: Path) -> None:
    target = path.with_name(path.name.removesuffix(".gz"))
    if target.exists():
        return
    part = path.with_name(f".{target.name}.part")
    try:
        with gzip.open(path) as packed, part.open("wb") as file:
            shutil.copyfileobj(packed, file)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _unpack_tar(path: Path, what: str) -> None:
    """Into the archive's folder, file by file in place, so that no half of one is ever seen.

    Raises UserError for an archive that holds more than files and folders below its own, before it is unpacked.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".unpack-") as folder:
        with tarfile.open(path) as archive:
            for member in archive:
                if not (member.isreg() or member.isdir()) or not _lies_below(member.name):
                    raise UserError(f"{what}: {path} holds {member.name!r}, which is no plain file below its folder; "
                                    f"nothing was unpacked; delete {path.name}")  # fmt: skip
            archive.extractall(folder, filter="data")
        for file in sorted(found for found in Path(folder).rglob("*") if found.is_file()):
            target = path.parent / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                file.replace(target)


def _lies_below(name: str) -> bool:
    """Whether a name in an archive stays in the folder that it is unpacked into, on any system."""
    return not any(kind(name).anchor or ".." in kind(name).parts for kind in (PurePosixPath, PureWindowsPath))
