"""Small data sets, written by the test that uses them; nothing is downloaded."""

import gzip
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_sets import idx_bytes, md5

from dlhw.dataset import cifar10, mnist
from dlhw.dataset.cifar10 import CIFAR10


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here and in processes started here: several test processes of four threads each wait for one another."""
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def write_mnist(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a set in MNIST's layout, registers its md5s, returns the root."""

    def write(name: str = "MNIST", train: int = 60, test: int = 20, packed: bool = False, **files: bytes) -> Path:
        """`files` replaces the content of one file after the md5s are registered: train_images=b"..."."""
        contents = {}
        for part, count in (("train", train), ("t10k", test)):
            contents[f"{part}-images-idx3-ubyte"] = idx_bytes(rng.integers(0, 256, (count, 28, 28)))
            contents[f"{part}-labels-idx1-ubyte"] = idx_bytes(np.arange(count) % 10)
        monkeypatch.setitem(mnist.MD5, name, tuple(md5(contents[file]) for file in mnist.FILES))
        for key, content in files.items():
            part, kind = key.split("_")
            contents[next(file for file in contents if file.startswith(f"{part}-{kind}"))] = content
        folder = tmp_path / name / "raw"
        folder.mkdir(parents=True)
        for file, content in contents.items():
            if packed:
                (folder / f"{file}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / file).write_bytes(content)
        return tmp_path

    return write


@pytest.fixture
def write_cifar(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes CIFAR-10's seven files, registers their md5s, returns the root. `changed` replaces pickled objects."""

    def write(count: int = 20, **changed: Any) -> Path:
        folder = tmp_path / cifar10.FOLDER
        folder.mkdir()
        for name in cifar10.MD5:
            content: Any = {"label_names": list(CIFAR10.CLASSES), "num_vis": 3072}
            if name != "batches.meta":
                data = rng.integers(0, 256, (count, 3072), np.uint8)
                content = {"data": data, "labels": [int(i) % 10 for i in range(count)], "batch_label": name}
            pickled = pickle.dumps(changed.get(name.replace(".", "_"), content), protocol=2)
            monkeypatch.setitem(cifar10.MD5, name, md5(pickled))
            (folder / name).write_bytes(pickled)
        return tmp_path

    return write


@dataclass
class Server:
    """A local web server and what was asked of it."""

    url: str
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Serves contents by path, until the test ends; 404 for others.

    `cut`: paths whose body ends after half; `stall`: paths that fall silent there.
    """
    running: list[ThreadingHTTPServer] = []
    over = threading.Event()

    def start(contents: dict[str, bytes], cut: tuple[str, ...] = (), stall: tuple[str, ...] = ()) -> Server:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                if self.path not in contents:
                    self.send_error(404)
                    return
                content = contents[self.path]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                time.sleep(0.05)  # long enough for others to ask meanwhile
                half = content[: len(content) // 2]
                self.wfile.write(half if self.path in cut + stall else content)
                if self.path in stall:
                    self.wfile.flush()
                    over.wait(20)

            def log_message(self, *_: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        running.append(http)
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        server = Server(f"http://127.0.0.1:{http.server_address[1]}")
        return server

    yield start
    over.set()
    for http in running:
        http.shutdown()
        http.server_close()
