"""What is measured: dlhw's experiments on made-up images, and the way of the homework to the same images.

The images have the form, the size and the number of the real ones, so that nothing is downloaded; what they show does
not matter to speed. The classes here are data sets of dlhw, named to it by `dataset._target_`.
"""

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dlhw.capture import capture
from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.dataset import cifar10, idx, mnist
from dlhw.dataset.pool import Pool
from dlhw.model import faster
from dlhw.prepare import Experiment, prepare
from dlhw.progress import log_to_console

BATCH = 100
NETS = {
    "fc": ["experiment=fashion/fc"],
    "mlp": ["experiment=mnist/mlp", "dataset=fashion_mnist", "batch_size=100", "optimizer=adam", "optimizer.lr=0.001"],
    "lenet5": ["experiment=fashion/lenet5"],
}
FASHION = ["trust=[experiments]", "dataset._target_=experiments.FashionMNIST"]
CIFAR = ["trust=[experiments]", "dataset._target_=experiments.CIFAR10"]


class FashionMNIST(mnist.FashionMNIST):
    """The four files whatever they hold: read as the real ones are, but not compared with their hashes."""

    def read(self) -> tuple[Pool, Pool]:
        images, labels, *test = (self._array(name) for name in mnist.FILES)
        return Pool(images[:, None], labels.astype(np.int64)), Pool(test[0][:, None], test[1].astype(np.int64))

    def _array(self, name: str) -> NDArray[np.uint8]:
        return idx.parse(idx.read_bytes(self.folder / name), (28, 28) if "images" in name else ())


class CIFAR10(cifar10.CIFAR10):
    """As many images as are asked for, made in memory."""

    def read(self) -> tuple[Pool, Pool]:
        return pool(int(self.train_size or 1000), 32, 3), pool(int(self.test_size or 1000), 32, 3)


def pool(n: int, side: int, channels: int) -> Pool:
    """Coarse patterns, of ten classes."""
    coarse = np.random.default_rng(0).integers(0, 256, (n, channels, side // 4, side // 4), dtype=np.uint8)
    return Pool(coarse.repeat(4, 2).repeat(4, 3), np.arange(n) % 10)


def write_fashion(root: Path, train: int = 12000, test: int = 1000) -> None:
    """The files that FashionMNIST above and torchvision's read."""
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for names, n in ((mnist.FILES[:2], train), (mnist.FILES[2:], test)):
        made = pool(n, 28, 1)
        headers = struct.pack(">IIII", 2051, n, 28, 28), struct.pack(">II", 2049, n)
        contents = made.images.tobytes(), made.targets.astype(np.uint8).tobytes()
        for name, header, content in zip(names, headers, contents, strict=True):
            (folder / name).write_bytes(header + content)


def experiment(*overrides: str) -> Experiment:
    """As `dlhw` with these overrides builds it, up to its first step; what cannot be captured is told."""
    log_to_console()
    with hydra_session():
        config = composed([*overrides, "plots=none"])
        built = prepare(config)
    capture(built.trainer, config.compile, config.cuda_graph is not False)
    return built


def usual(model: nn.Module) -> nn.Module:
    """The net as course reports write it: torch's own layers, the weights contiguous."""
    for module in model.modules():
        if isinstance(module, faster.Conv2d | faster.AvgPool2d):
            module.__class__ = type(module).__base__
    return model.to(memory_format=torch.contiguous_format)


def loader(root: Path, train: bool) -> "torch.utils.data.DataLoader[tuple[Tensor, Tensor]]":
    """The homework's: torchvision's data set, ToTensor, batches of 100, fetched by the process itself."""
    from torchvision import datasets, transforms

    data = datasets.FashionMNIST(str(root), train=train, transform=transforms.ToTensor())
    return torch.utils.data.DataLoader(data, batch_size=BATCH, shuffle=train)


def endless(batches: "torch.utils.data.DataLoader[tuple[Tensor, Tensor]]") -> Iterator[tuple[Tensor, Tensor]]:
    """Epoch after epoch, each in an order of its own."""
    return itertools.chain.from_iterable(itertools.repeat(batches))
