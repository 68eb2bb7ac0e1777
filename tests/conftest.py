"""One thread for each test process and for what it starts: as many of them run at once as there are cores."""

import os

# Read when NumPy and torch are loaded. Without it each of four processes would run four threads, in each others way.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
