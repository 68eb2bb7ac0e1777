"""How fast large nets train: VGG-16 with batch norm and ResNet-50 on CIFAR-10's shapes, in each precision and order.

fp32 and bf16 (autocast), contiguous and channels_last; the row that dlhw's own `precision=auto channels_last=auto`
chooses on this machine is marked. A chunk is one step of Trainer.train_epochs (ten on CUDA).

of mm: the share of the rate that torch.mm reaches in the same precision, with the same threads, in the same rounds
(on CUDA fp32 means TF32 there, as torch's convolutions use it). The FLOPs are those of matrix products and convolutions
that dlhw.summary counts, three times the forward pass.

Where a CPU has no bf16, torch emulates it at a twentieth of the speed: those rows are left out. On a CPU the first
round, in which memory is first touched, is one of those whose median is taken: use three at least.

    python benchmarks/large_nets.py [--rounds 5] [--nets vgg16 resnet50] [--batch N] [--threads N] [--device cuda]
"""

import gc

import torch
from experiments import CIFAR, experiment
from measure import Chunk, Report, Rounds, Row, arguments, median, parsed, ratio, speeds
from training_loop import engine, repeated

from dlhw.machine import cpu_settings, multiplies_bf16
from dlhw.prepare import Experiment

NETS = {"vgg16": 100, "resnet50": 50}  # samples a batch
VARIANTS = {
    "fp32": ["precision=fp32", "channels_last=false"],
    "fp32, channels_last": ["precision=fp32", "channels_last=true"],
    "bf16": ["precision=bf16", "channels_last=false"],
    "bf16, channels_last": ["precision=bf16", "channels_last=true"],
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices
PRODUCTS = {"cpu": 1, "cuda": 20}  # of a chunk
STEPS = {"cpu": 1, "cuda": 10}


def measured_on(device: torch.device) -> dict[str, list[str]]:
    """The variants that the device does not emulate."""
    return {name: own for name, own in VARIANTS.items() if name.startswith("fp32") or multiplies_bf16(device)}


def matrix_product(dtype: torch.dtype, device: torch.device) -> Chunk:
    """Work in FLOPs."""
    side = SIDE[device.type]
    left, right, product = (torch.rand(side, side, device=device).to(dtype) for _ in range(3))

    def multiply() -> None:
        torch.mm(left, right, out=product)

    chunk = repeated(multiply, PRODUCTS[device.type], 2 * side**3, device)
    return with_tf32(chunk) if device.type == "cuda" else chunk


def with_tf32(chunk: Chunk) -> Chunk:
    def allowed() -> float:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            return chunk()
        finally:
            torch.set_float32_matmul_precision(before)

    return allowed


def choice(built: Experiment) -> str:
    """The variant that an experiment is."""
    weights = [p for p in built.model.parameters() if p.dim() == 4 and p.shape[1] > 1]
    last = all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)
    return f"{built.precision}, channels_last" if last else built.precision


def rows(net: str, measured: Rounds, auto: Experiment) -> list[Row]:
    """auto: what dlhw chooses by itself."""
    flops, chosen = 3 * auto.flops, choice(auto)  # of one sample's step: a backward pass costs two forwards
    found: list[Row] = []
    for name in measured_on(auto.trainer.device):
        dtype = name.partition(",")[0]
        work = [flops * speed for speed in measured[name]]
        found.append(
            {
                "net": f"{net}, {name}",
                "threads": auto.threads,
                "samples/s": median(measured[name]),
                "over fp32": ratio(measured[name], measured["fp32"]),
                "TFLOP/s": median(work) / 1e12,
                "of mm": ratio(work, measured[f"mm {dtype}"]),
                "dlhw's auto": "this" if name == chosen else None,
            }
        )
    return found


def steps_of(batch: int, device: str) -> list[str]:
    """The overrides of epochs that are a chunk."""
    return [f"batch_size={batch}", f"dataset.train_size={batch * STEPS[device]}", "dataset.test_size=10"]


def measure(net: str, batch: int, device: str, threads: str, rounds: int) -> tuple[list[Row], Rounds]:
    run = [*CIFAR, f"experiment=cifar10/{net}", f"device={device}", f"threads={threads}"]
    auto = experiment(*run, *steps_of(batch, device))
    there, variants = auto.trainer.device, {}
    with cpu_settings(auto.threads):
        for name, own in measured_on(there).items():
            steps = steps_of(batch, device)
            variants[name] = engine(experiment(*run[:-1], f"threads={auto.threads}", *steps, *own).trainer)
        dtypes = {name.partition(",")[0] for name in variants}
        products = {f"mm {name}": matrix_product(DTYPES[name], there) for name in sorted(dtypes)}
        measured = speeds(variants | products, rounds, warm_up=int(device == "cuda"))
    return rows(net, measured, auto), measured


def main() -> None:
    parser = arguments(__doc__, "large_nets", rounds=5)
    parser.add_argument("--threads", default="auto", help="default: dlhw's choice, which leaves one core to others")
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--batch", type=int, help="samples a batch; default 100 for VGG-16, 50 for ResNet-50")
    args = parsed(parser)
    report = Report("Large nets", args)
    for net in args.nets:
        found, measured = measure(net, args.batch or NETS[net], args.device, args.threads, args.rounds)
        for row in found:
            report.add(row)
        report.rounds[net] = measured
        gc.collect()
    report.write()


if __name__ == "__main__":
    main()
