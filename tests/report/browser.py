"""A headless Chromium, driven by its DevTools protocol over a pair of pipes: JSON messages with a zero byte behind."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 30.0  # seconds for one answer
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)  # fmt: skip


def chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page. messages: everything that Chromium told unasked, such as requests and console errors."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing
        self.pending, self.count, self.attached = b"", 0, ""
        self.messages: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.count += 1
        to = {"sessionId": self.attached} if self.attached else {}
        os.write(
            self.writing, json.dumps({"id": self.count, "method": method, "params": params, **to}).encode() + b"\0"
        )
        while (message := self._read()).get("id") != self.count:
            self.messages.append(message)
        assert "error" not in message, (method, message["error"])
        return dict(message["result"])

    def _read(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self.pending:
            ready, _, _ = select.select([self.reading], [], [], max(0.0, until - time.monotonic()))
            chunk = os.read(self.reading, 1 << 16) if ready else b""
            assert chunk, "Chromium does not answer"
            self.pending += chunk
        message, _, self.pending = self.pending.partition(b"\0")
        return dict(json.loads(message))

    def open(self, url: str, width: int, height: int = 900, dark: bool = False, mobile: bool = False) -> None:
        """Shows the page in a window of that width and waits until it is loaded."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.messages.clear()
        self.ask("Page.navigate", url=url)
        while not any(message.get("method") == "Page.loadEventFired" for message in self.messages):
            self.messages.append(self._read())

    def value(self, script: str) -> Any:
        """What a line of JavaScript evaluates to."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def requests(self) -> list[str]:
        """All that the page asked for, itself and the data that stands in it apart."""
        sent = [m["params"]["request"]["url"] for m in self.messages if m.get("method") == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def complaints(self) -> list[str]:
        """Errors and warnings of the page: exceptions, the console, what the content security policy refused."""
        told = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [json.dumps(message["params"]) for message in self.messages if message.get("method") in told]

    def screenshot(self, path: Path, whole: bool = True) -> None:
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path: Path) -> None:
        printed = self.ask("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(printed["data"]))


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """Chromium reads from its file descriptor 3 and writes to 4."""
    program = chromium()
    assert program is not None
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
    process = subprocess.Popen(
        ["bash", "-c", script, program, *OPTIONS, f"--user-data-dir={profile}"],
        pass_fds=(theirs_in, theirs_out), **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL),
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(ours_in, ours_out)
    finally:
        process.terminate()
        process.wait(20)
        os.close(ours_in)
        os.close(ours_out)
