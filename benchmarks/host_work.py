"""What the host has to do for each step, beside launching it: no step can take less, however fast the GPU is.

LeNet-5's loop as dlhw trains it on a GPU, alone or as lanes, with nothing in the place of the captured step, and images
of one pixel, so that making batches takes their number of operations and next to no arithmetic. On a CPU, where an
operation takes about what a launch does.

    python benchmarks/host_work.py [--rounds 11] [--lanes 1 8 32] [--images 12000]
"""

import tempfile
from pathlib import Path

import torch
from experiments import BATCH, FASHION, NETS, experiment, write_fashion
from measure import Chunk, Report, arguments, median, parsed, speeds, spread

from dlhw.lanes.dropout import Generators
from dlhw.lanes.loop import Loop
from dlhw.machine import cpu_settings
from dlhw.trainer import Trainer

CLASSES = 10


def with_small_images(trainer: Trainer) -> Trainer:
    split = trainer.train
    split.images = split.images[:, :, :1, :1].contiguous()  # type: ignore[attr-defined]
    return trainer


def alone(trainer: Trainer) -> Chunk:
    """Work in steps."""
    given = torch.zeros(BATCH, CLASSES), torch.zeros(())
    trainer.graphed_step = lambda inputs, targets: given

    def chunk() -> int:
        trainer.train_epochs(1)
        return len(trainer.steps.loss)

    return chunk


def as_lanes(trainers: list[Trainer]) -> Chunk:
    """Work in steps of all of them."""
    for trainer in trainers:
        trainer.eval_batch_size *= len(trainers)  # on a GPU as many steps are stacked at once as for one lane
    loop = Loop(trainers, [Generators(trainer.device).masks for trainer in trainers])
    given = torch.zeros(len(trainers)), torch.zeros(len(trainers), BATCH, CLASSES)
    loop.program.whole_step = lambda *batch: given
    return lambda: len(loop.train_epochs(1).sizes)


def main() -> None:
    parser = arguments(__doc__, "host_work", rounds=11, devices=("cpu",))
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 8, 32], help="how many; 1 is a run alone")
    parser.add_argument("--images", type=int, default=12000, help="of a pass")
    args = parsed(parser)
    report = Report("The host's work for a step", args)
    with tempfile.TemporaryDirectory() as folder, cpu_settings(1):
        write_fashion(Path(folder), args.images)
        words = [*NETS["lenet5"], *FASHION, f"data_dir={folder}", "device=cpu", "threads=1", "dataset.val_size=0"]

        def trainers(count: int) -> list[Trainer]:
            return [with_small_images(experiment(*words, f"seed={seed}").trainer) for seed in range(count)]

        chunks = {str(count): as_lanes(trainers(count)) if count > 1 else alone(*trainers(1)) for count in args.lanes}
        measured = speeds(chunks, args.rounds)
        for count in args.lanes:
            micros = [1e6 / steps for steps in measured[str(count)]]
            each = spread([value / count for value in micros])
            report.add({"lanes": str(count), "us a step": median(micros), "us a step and lane": each}, measured)
    report.write()


if __name__ == "__main__":
    main()
