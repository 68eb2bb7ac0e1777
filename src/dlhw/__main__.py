"""`python -m dlhw`, which is how torchrun starts it: `torchrun --nproc-per-node=2 -m dlhw model=fc`."""

import os
import sys

from dlhw.cli import main
from dlhw.distributed.torchrun import launched


def end(code: object) -> None:
    """Leave at once: where a group broke up, its threads are still there, and would abort an interpreter that ends."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


sys.argv[0] = "dlhw"  # as messages and results.json have it
if launched().alone:
    main()
else:
    try:
        main()
    except SystemExit as ended:
        end(ended.code)
    end(0)
