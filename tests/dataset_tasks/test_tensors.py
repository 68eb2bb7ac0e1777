import pytest
import torch
from task_sets import CPU, everything, seeded
from torch.utils._python_dispatch import TorchDispatchMode

from dlhw.dataset.tensors import Tensors
from dlhw.dataset.toy import Toy
from dlhw.dataset.xor import XOR

TOY = {"in_features": 4, "num_classes": 3, "out_features": 3, "classes": ["0", "1", "2"]}


@pytest.fixture
def split():
    return Tensors(torch.randn(107, 5, 2, generator=seeded(9)), torch.arange(107))


@pytest.mark.parametrize("batch_size", [107, 1000])
def test_a_full_batch_is_the_tensors_themselves_and_draws_nothing(split, batch_size):
    shuffle = seeded(0)
    before = shuffle.get_state()
    for _ in range(2):
        with NoOperation():
            ((inputs, targets),) = split.batches(batch_size, shuffle, shuffle)
        assert inputs is split.inputs
        assert targets is split.targets
    assert torch.equal(shuffle.get_state(), before)


class NoOperation(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        raise AssertionError(f"{function} costs as much as a whole step of a small net")


@pytest.mark.parametrize("batch_size", [1, 10, 106])
def test_the_order_is_one_randperm_an_epoch(split, batch_size):
    shuffle, same = seeded(5), seeded(5)
    for _ in range(2):
        inputs, targets = everything(split, batch_size, shuffle=shuffle)
        order = torch.randperm(107, generator=same)
        assert torch.equal(targets, order)
        assert torch.equal(inputs, split.inputs[order])


def test_batches_are_whole_but_the_last_and_do_not_depend_on_blocks(split, monkeypatch):
    sizes = [len(targets) for _, targets in split.batches(25, seeded(0))]
    assert sizes == [25, 25, 25, 25, 7]
    expected = everything(split, 25, shuffle=seeded(0))
    monkeypatch.setattr("dlhw.dataset.tensors.BLOCK_BYTES", 2000)
    assert [len(targets) for _, targets in split.batches(25, seeded(0))] == sizes
    assert all(map(torch.equal, everything(split, 25, shuffle=seeded(0)), expected))
    assert all(map(torch.equal, everything(split, 25), (split.inputs, split.targets)))


def test_raw_is_the_inputs(split):
    assert (split.raw([3, 0]) == split.inputs[[3, 0]].numpy()).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_xor(dtype):
    dataset = XOR(in_features=2, out_features=1)
    splits = dataset.load(CPU, dtype)
    assert (dataset.task, dataset.classes, dataset.input_shape) == ("regression", None, (2,))
    assert (splits.val, splits.classes) == (None, None)
    for part in (splits.train, splits.test):
        inputs, targets = everything(part)
        assert inputs.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
        assert targets.tolist() == [[0], [1], [1], [0]]
        assert inputs.dtype == targets.dtype == dtype


def test_toy_has_the_notes_numbers():
    dataset = Toy(**TOY)
    splits = dataset.load(CPU, torch.float64)
    assert (dataset.task, dataset.input_shape, splits.classes) == ("classification", (4,), ["0", "1", "2"])
    for part in (splits.train, splits.test):
        inputs, targets = everything(part)
        assert inputs.shape == (5, 4)
        expected = torch.tensor([16.24345364, -6.11756414, -5.28171752, -10.72968622], dtype=torch.float64)
        assert torch.allclose(inputs[0], expected, rtol=0, atol=5e-9)
        assert targets.tolist() == [0, 1, 2, 2, 1]
        assert targets.dtype == torch.int64
    assert splits.val is None


@pytest.mark.parametrize(
    ("kind", "keys", "message"),
    [
        (XOR, {"in_features": 3, "out_features": 1}, "in_features=3: XOR has 2"),
        (XOR, {"in_features": 2, "out_features": 2}, "out_features=2: XOR has 1"),
        (XOR, {"in_features": 2, "out_features": True}, "out_features=True: XOR has 1"),
        (XOR, {"in_features": 2, "out_features": 1, "val_size": 1}, "val_size=1: XOR has four points"),
        (XOR, {"in_features": 2, "out_features": 1, "classes": ["a"]}, r"classes=\['a'\]: .*expected null"),
        (XOR, {"in_features": 2, "out_features": 1, "task": "regresion"}, "task=regresion: .*did you mean regression?"),
        (Toy, TOY | {"in_features": 5}, "in_features=5: Toy has 4"),
        (Toy, TOY | {"num_classes": 2}, "num_classes=2: Toy has 3 classes"),
        (Toy, TOY | {"classes": ["0", "1"]}, r"classes=\['0', '1'\]: Toy has"),
        (Toy, TOY | {"val_size": 0.1}, "val_size=0.1: Toy has five points"),
    ],
)
def test_wrong_facts_are_refused(kind, keys, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        kind(**keys)
