"""One thread for each test process and for what it starts: as many of them run at once as there are cores.

And two economies with what a test process does thousands of times: parsing the same texts of a config, and looking for
garbage among what was imported.
"""

import gc
import os
from functools import lru_cache

# Read when NumPy and torch are loaded. Without it each of four processes would run four threads, in each others way.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from omegaconf import _utils, base, grammar_parser  # noqa: E402

# A tree is a function of the text alone and nobody changes one; parsing is a quarter of what composing a config takes.
base.parse = _utils.parse = lru_cache(maxsize=1000)(grammar_parser.parse)


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: no collection of garbage need look through them again."""
    gc.freeze()
