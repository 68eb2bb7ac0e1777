"""joblib's workers, begun before they are needed and ended before the end: what each imports takes seconds."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from threading import Thread

from omegaconf import DictConfig

from dlhw.process import end_with


class Workers:
    """Processes that wait for runs. Where they do not come to be, joblib starts others when it needs them."""

    def __init__(self, launcher: DictConfig, count: int) -> None:
        """launcher: Hydra's settings of joblib, which takes workers up again only where it finds all the same."""
        self.settings = {str(key): value for key, value in launcher.items() if key not in ("_target_", "n_jobs")}
        self.count = count

    def start(self, modules: Sequence[str]) -> None:
        """Have each import these, beside what this process does."""
        from joblib import Parallel, delayed

        with suppress(Exception):
            parallel = Parallel(n_jobs=self.count, return_as="generator", **self.settings)
            loaded = parallel(delayed(wait_for_runs)(os.getpid(), modules) for _ in range(self.count))
            meanwhile(lambda: list(loaded))  # joblib warns of results that nobody takes

    def end(self, at_once: bool = False) -> None:
        """Have them end beside what follows. at_once: whatever they are at, so that a command can end now."""
        from joblib.externals.loky import get_reusable_executor

        with suppress(Exception):
            get_reusable_executor(reuse=True).shutdown(wait=False, kill_workers=at_once)


def wait_for_runs(parent: int, modules: Sequence[str]) -> None:
    """In a worker: nobody but `parent` brings it runs."""
    end_with(parent)
    load(modules)


def load(modules: Sequence[str]) -> None:
    for module in modules:
        import_module(module)


def meanwhile(work: Callable[[], object]) -> None:
    """Do it beside what follows, which waits for others most of the time, and can do without it, should it fail."""

    def done_or_not() -> None:
        with suppress(Exception):
            work()

    Thread(target=done_or_not, daemon=True).start()
