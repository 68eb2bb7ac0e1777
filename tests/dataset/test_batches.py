import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from dlhw.dataset.augment import Augment
from dlhw.dataset.batches import Resident
from dlhw.dataset.preprocess import Preprocess, measure
from dlhw.dataset.streamed import Streamed

CPU = torch.device("cpu")
AUGMENT = Augment(crop_padding=2, flip=True, rotation=10.0)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (107, 3, 12, 12), np.uint8)


@pytest.fixture
def targets():
    return torch.arange(107) % 10


@pytest.fixture
def mapped(images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def resident(images, targets, augmentation=None):
    return Resident(torch.from_numpy(images), targets, augmentation)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("batch_size", [1, 10, 100, 107, 500])
@pytest.mark.parametrize("block_bytes", [1, 20_000, 8 * 2**20])
def test_batches_in_order(images, targets, batch_size, block_bytes):
    split = resident(images, targets)
    split._block_bytes = block_bytes
    batches = list(split.batches(batch_size))
    assert [len(inputs) for inputs, _ in batches] == [len(t) for _, t in batches]
    assert all(len(inputs) == batch_size for inputs, _ in batches[:-1])
    assert len(batches) == -(-107 // batch_size)
    assert torch.equal(torch.cat([inputs for inputs, _ in batches]), torch.from_numpy(images).float() / 255)
    assert torch.equal(torch.cat([t for _, t in batches]), targets)


def test_the_order_of_an_epoch_is_one_randperm(images, targets):
    shuffle, same = seeded(5), seeded(5)
    split = resident(images, targets)
    for _ in range(2):  # epochs
        got = torch.cat([t for _, t in split.batches(10, shuffle)])
        assert torch.equal(got, targets[torch.randperm(107, generator=same)])


def test_training_images_change_only_when_asked(images, targets):
    split = resident(images, targets, AUGMENT)
    plain = next(split.batches(107))[0]
    changed = next(split.batches(107, augment=seeded(0)))[0]
    assert torch.equal(plain, torch.from_numpy(images).float() / 255)
    assert not torch.equal(plain, changed)
    expected = AUGMENT(torch.from_numpy(images), seeded(0)).float() / 255
    assert torch.equal(changed, expected)


def test_augmentation_does_not_depend_on_the_batch_size(images, targets):
    split = resident(images, targets, AUGMENT)
    small, large = (torch.cat([inputs for inputs, _ in split.batches(size, seeded(1), seeded(2))]) for size in (3, 100))
    assert torch.equal(small, large)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("is_mapped", [False, True])
def test_resident_and_streamed_give_the_same_bits(images, mapped, targets, is_mapped, num_workers):
    rows = np.arange(3, 100)
    chosen = targets[torch.from_numpy(rows)]
    here = resident(images[rows], chosen, AUGMENT)
    there = Streamed(mapped if is_mapped else images, rows, chosen, AUGMENT, num_workers)
    there._block_bytes = 4 * 432 * 20  # several blocks
    here.preprocess = there.preprocess = measure([torch.from_numpy(images)], "channel").to(CPU)
    ours, theirs, ours_augment, theirs_augment = seeded(0), seeded(0), seeded(1), seeded(1)
    state = torch.get_rng_state()
    for _ in range(2):
        epochs = here.batches(10, ours, ours_augment), there.batches(10, theirs, theirs_augment)
        for (inputs, t), (other_inputs, other_t) in zip(*epochs, strict=True):
            assert torch.equal(inputs, other_inputs)
            assert torch.equal(t, other_t)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(here.raw([5, 0, 96]), there.raw([5, 0, 96]))
    np.testing.assert_array_equal(there.raw([5]), images[[8]])


def test_an_epoch_may_be_left_early(mapped, targets):
    split = Streamed(mapped, np.arange(107), targets, num_workers=1)
    split._block_bytes = 1
    next(split.batches(10))
    assert torch.equal(torch.cat([t for _, t in split.batches(10)]), targets)
    assert torch.equal(torch.cat([x for x, _ in split.batches(10)]), torch.from_numpy(np.array(mapped)).float() / 255)


def test_two_epochs_at_once_are_refused(mapped, targets):
    split = Streamed(mapped, np.arange(107), targets, num_workers=0)
    split._block_bytes = 1
    first = split.batches(10)
    next(first)
    next(split.batches(10))
    with pytest.raises(RuntimeError, match="second epoch"):
        next(first)


def test_a_mapped_file_travels_as_its_path(mapped, targets):
    import pickle

    dataset = Streamed(mapped, np.arange(107), targets, num_workers=0)._dataset
    pickled = pickle.dumps(dataset)
    assert len(pickled) < mapped.nbytes / 10
    again = pickle.loads(pickled)
    assert again.is_mapped
    assert torch.equal(again[np.array([4, 2])], dataset[np.array([4, 2])])


def test_a_part_of_a_mapped_file_travels_as_pixels(mapped, targets):
    import pickle

    dataset = Streamed(mapped[50:], np.arange(57), targets[50:], num_workers=0)._dataset
    assert not dataset.is_mapped
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[np.array([4, 2])], dataset[np.array([4, 2])])


def test_workers_leave_without_a_word(mapped, tmp_path):
    program = """
        import sys, numpy as np, torch
        from dlhw.dataset.streamed import Streamed
        if __name__ == "__main__":
            images = np.load(sys.argv[1], mmap_mode="r")
            split = Streamed(images, np.arange(107), torch.arange(107), num_workers=2)
            split._block_bytes = 1
            list(split.batches(10))
            for _ in split.batches(10):
                break
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(program))
    command = [sys.executable, "-W", "error", str(tmp_path / "program.py"), str(tmp_path / "images.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batches_are_views_of_a_block(images, targets, channels_last, dtype):
    split = resident(images, targets)
    split.preprocess = Preprocess(dtype=dtype, channels_last=channels_last)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    batches = [inputs for inputs, _ in split.batches(10, seeded(0))]
    assert all(inputs.is_contiguous(memory_format=layout) and inputs.dtype == dtype for inputs in batches)
    assert len({inputs.untyped_storage().data_ptr() for inputs in batches}) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_gpu_gets_what_a_cpu_gets(images, mapped, targets, num_workers):
    gpu = torch.device("cuda")
    augment = Augment(crop_padding=2, flip=True)  # rotation's bilinear sums may round the other way there
    here = resident(images, targets, augment)
    resident_there = Resident(torch.from_numpy(images).to(gpu), targets.to(gpu), augment)
    streamed_there = Streamed(mapped, np.arange(107), targets.to(gpu), augment, num_workers)
    for there in (resident_there, streamed_there):
        epochs = here.batches(10, seeded(0), seeded(1)), there.batches(10, seeded(0), seeded(1))
        for (inputs, t), (other_inputs, other_t) in zip(*epochs, strict=True):
            assert torch.equal(inputs, other_inputs.cpu())
            assert torch.equal(t, other_t.cpu())
