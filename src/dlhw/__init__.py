"""dlhw: a laboratory for the classic experiments of a first deep-learning course.

import dlhw
run = dlhw.run("model=fc", "epochs=2")  # what `dlhw model=fc epochs=2` does
run.rows, run.results, run.folder, run.plots
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlhw.one_run import Run

__version__ = "0.1.0"


def run(*overrides: str, config_dir: str | None = None) -> "Run":
    """Train one run from Hydra overrides, as the command `dlhw` does, and hand back what came of it.

    Raises dlhw.errors.UserError for what cannot be used (nothing is written then), RunFailed for a run that broke off.
    """
    from dlhw.config.compose import composed
    from dlhw.config.shipped import hydra_session
    from dlhw.distributed.torchrun import joined
    from dlhw.progress import log_to_console

    log_to_console()
    with joined() as ranks, hydra_session(config_dir) as session:
        with ranks.agreed():
            config = composed([*session, *overrides], config_dir)
        from dlhw import one_run  # which imports torch, so that a misspelt key is told before

        return one_run.run(config, ranks)
