"""Things that would leave a trace if they were carried out, and where they are planted."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

# What a `_target_` might name, whatever the group: none of it is a part of a run.
TARGETS = (
    "os.system", "builtins.eval", "builtins.exec", "builtins.open", "subprocess.run", "pickle.loads",
    "shutil.rmtree", "importlib.import_module", "runpy.run_path", "evil.Net", "evil.leave_a_trace", "evil", "",
    "torch.os.system", "torch.load", "torch.save", "torch.hub.load", "torch.jit.load",
    "torch.serialization.pickle.loads", "torch.utils.cpp_extension.load_inline",
    "torch.utils.cpp_extension.subprocess.run", "torch.package.PackageImporter", "torch.distributed.run.main",
    "torch.compiler.load_cache_artifacts", "torch.fx.GraphModule", "torch.Tensor.tofile",
    "torch.nn.modules.module.Module.__init__.__globals__", "torch.nn.init.torch.hub.load",
    "torch.nn.functional.relu", "torch.nn.functional.importlib.import_module", "torch.nn.parallel.comm.torch.load",
    "torch.nn.utils.parametrize.copy", "torch.nn.utils.convert_parameters.Iterable",
    "torch.optim.optimizer.functools.partial", "torch.optim.optimizer.warnings.warn",
    "torch.optim.lr_scheduler.math.exp", "torch.optim.swa_utils.update_bn",
    "torch.optim.optimizer._use_grad_for_differentiable", "torchvision.datasets.utils.download_url",
    "torchvision.datasets.CIFAR10", "torchvision.models.get_weight", "torchvision.models._api.inspect.getsource",
    "torchvision.models.feature_extraction.create_feature_extractor", "torchvision.models.list_models",
    "torchvision.io.write_file", "dlhw.cli.main", "dlhw.__main__.end", "dlhw.files.os.remove",
    "dlhw.files.write_text", "dlhw.folder.checkpoint.save", "dlhw.machine.os.system",
    "dlhw.folder.environment.subprocess.run", "dlhw.dataset.fetch.fetch", "dlhw.dataset.cifar10.pickle.loads",
    "dlhw.dataset.fetch.shutil.rmtree", "dlhw.model.pretrained.load_state", "dlhw.model.pretrained.torch.load",
    "dlhw.model.layers.nn.Module.register_module.__globals__", "dlhw.loss.dice.torch.hub.load",
    "dlhw.backend.adapters.np.load", "dlhw.logger.tensorboard.Path", "dlhw.scheduler.schedule.has_momentum",
    "dlhw.scheduler.schedule.dataclass",
)  # fmt: skip


class Payload:
    """Whoever unpickles it makes a folder."""

    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.trace,)


def saved_by_torch(path: Path, trace: Path) -> None:
    torch.save({"model": Payload(trace), "epoch": 1, "inputs": {}}, path)


def saved_by_old_torch(path: Path, trace: Path) -> None:
    torch.save({"model": Payload(trace), "epoch": 1}, path, _use_new_zipfile_serialization=False)


def plain_pickle(path: Path, trace: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(trace)))


CHECKPOINTS = (saved_by_torch, saved_by_old_torch, plain_pickle)
