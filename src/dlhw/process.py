"""This process: the cores that it may use, and its end with its parent's. It stands alone, before torch is imported."""

import os
import signal
import threading
import time
from functools import cache


def cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with(parent: int) -> None:
    """From now on end this process when `parent` is gone: a worker must not outlive its sweep, nor take another run."""
    if os.getpid() == parent:  # joblib trains a single run in the sweep's own process
        return
    if os.getppid() != parent:
        os._exit(143)
    watch(parent)


@cache  # once in a process
def watch(parent: int) -> None:
    def look() -> None:
        while os.getppid() == parent:
            time.sleep(0.25)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)  # for the run to say that it was interrupted; joblib's worker survives that
        os._exit(143)

    threading.Thread(target=look, daemon=True).start()
