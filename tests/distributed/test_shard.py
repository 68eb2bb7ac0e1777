"""The parts of the ranks are the batches of one process: same samples, same order, same random changes."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlhw.dataset.augment import Augment
from dlhw.dataset.batches import Resident
from dlhw.dataset.denoise import Noisy
from dlhw.dataset.masked import Masked
from dlhw.dataset.shard import Shard
from dlhw.dataset.streamed import Streamed
from dlhw.dataset.tensors import Tensors
from dlhw.distributed.ranks import ALONE, Ranks

AUGMENT = Augment(crop_padding=2, flip=True, rotation=10.0)
SIDE = 6


def pixels(length: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (length, channels, SIDE, SIDE), np.uint8)


def resident(length: int, blocks: int, targets: torch.Tensor) -> Resident:
    split = Resident(torch.from_numpy(pixels(length)), targets, AUGMENT)
    split._block_bytes = blocks
    return split


def streamed(length: int, blocks: int, targets: torch.Tensor) -> Streamed:
    split = Streamed(pixels(length), np.arange(length), targets, AUGMENT)
    split._block_bytes = blocks
    return split


SPLITS = {
    "resident": resident,
    "streamed": streamed,
    "masked": lambda *args: Masked(resident(*args)),
    "noisy": lambda *args: Noisy(resident(*args), sigma=0.5, seed=7),
    "tensors": lambda length, blocks, targets: Tensors(torch.arange(length * 3.0).view(-1, 3), targets),
}


def seeded(seed: int, wanted: bool) -> torch.Generator | None:
    return torch.Generator().manual_seed(seed) if wanted else None


@st.composite
def passes(draw):
    """(world_size, samples, batch size, bytes of a block, whether in order, whether changed at random)."""
    world_size = draw(st.integers(1, 5))
    batch_size = draw(st.integers(world_size, 20))
    length = draw(st.integers(1, 60))
    return (
        world_size,
        length,
        batch_size,
        draw(st.sampled_from([1, 3000, 2**20])),
        draw(st.booleans()),
        draw(st.booleans()),
    )


@pytest.mark.parametrize("name", SPLITS)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(how=passes())
def test_the_parts_are_the_batches(name, how):
    world_size, length, batch_size, blocks, shuffled, augmented = how
    split = SPLITS[name](length, blocks, torch.arange(length))

    def batches(ranks):
        """Two epochs."""
        generators = seeded(1, shuffled), seeded(2, augmented)
        return [list(ranks.batches(split, batch_size, *generators)) for _ in range(2)]

    for epoch, *parts in zip(batches(ALONE), *(batches(Ranks(r, world_size)) for r in range(world_size)), strict=True):
        for batch, *shares in zip(epoch, *parts, strict=True):
            own = [share for share in shares if share.weight]
            assert torch.equal(torch.cat([share.inputs for share in own]), batch.inputs)
            assert torch.equal(torch.cat([share.targets for share in own]), batch.targets)
            assert {share.size for share in shares} == {batch.size}
            assert min(len(share.targets) for share in shares) > 0
            assert sum(share.weight for share in shares) == pytest.approx(world_size)
            assert [share.weight for share in own] == pytest.approx(
                [len(share.targets) * world_size / batch.size for share in own]
            )


def test_a_sum_over_samples_is_shared_out_as_it_is():
    """The mean of the ranks' weighted sums is the sum of all; a rank without a sample adds nothing."""
    split = Tensors(torch.zeros(5, 1), torch.arange(5.0))
    parts = [list(Ranks(rank, 4).batches(split, 4, summed=True)) for rank in range(4)]
    assert [[batch.weight for batch in part] for part in parts] == [[4, 4], [4, 0], [4, 0], [4, 0]]
    sums = [sum(float(b.targets.sum()) * b.weight for b in step) / 4 for step in zip(*parts, strict=True)]
    assert sums == [0 + 1 + 2 + 3, 4]


@given(st.integers(0, 100), st.integers(1, 8))
def test_parts_follow_one_another_and_are_nearly_equal(size, world_size):
    bounds = [Shard(rank, world_size).bounds(size) for rank in range(world_size)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == size
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
    counts = [stop - start for start, stop in bounds]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] - counts[-1] <= 1


def test_a_rank_reads_no_more_than_its_part(monkeypatch):
    read = []
    split = streamed(40, 2**20, torch.arange(40))
    take = type(split._dataset).__getitem__
    monkeypatch.setattr(type(split._dataset), "__getitem__", lambda self, rows: read.extend(rows) or take(self, rows))
    list(Ranks(1, 4).batches(split, 8))
    assert read == [row for start in range(0, 40, 8) for row in (start + 2, start + 3)]
