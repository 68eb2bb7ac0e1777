"""Independent streams of one seed: what one purpose draws never moves another's numbers."""

import numpy as np


def derive(seed: int, *purpose: int) -> int:
    """A seed for torch's generators, below 2**63."""
    sequence = np.random.SeedSequence(seed, spawn_key=purpose)
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
