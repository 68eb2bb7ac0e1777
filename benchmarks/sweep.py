"""A sweep of eight learning rates: `dlhw -m` against the homework script run eight times, one after another.

Both train a net on images in Fashion-MNIST's form, with the same number of epochs, and test it; wall time of the whole,
from the shell and back. Each round runs both. `dlhw -m` also validates nothing, and writes tables, plots and a page.

    python benchmarks/sweep.py [--rounds 1] [--epochs 2 5] [--images 12000] [--nets lenet5 fc] [--data data]

Its ratio grows with the training: `--images 60000` is the real sets' size, of which a round takes eight minutes. With
`--data FOLDER` both read the real Fashion-MNIST from `FOLDER/FashionMNIST/raw`, and the sweep is what a user types.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from experiments import FASHION, NETS, write_fashion
from measure import Chunk, Report, arguments, median, parsed, ratio, speeds

HERE = Path(__file__).parent
DLHW = str(Path(sys.executable).with_name("dlhw"))
RATES = (0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128)
WANTED = {"lenet5": 6.0, "fc": 10.0}  # on 4 cores


def commands(*lines: Sequence[str], work: float) -> Chunk:
    """Commands, one after another, in an empty folder. Raises CalledProcessError where one fails."""

    def chunk() -> float:
        environment = {**os.environ, "PYTHONPATH": str(HERE)}  # where the data set's class is found
        with tempfile.TemporaryDirectory() as folder:
            for line in lines:
                subprocess.run(line, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        return work

    return chunk


def main() -> None:
    parser = arguments(__doc__, "sweep", rounds=1)
    parser.add_argument("--epochs", nargs="+", type=int, default=[2], help="a row of the table each")
    parser.add_argument("--images", type=int, default=12000, help="to train on")
    parser.add_argument("--nets", nargs="+", choices=WANTED, default=list(WANTED))
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES))
    parser.add_argument("--data", type=Path, help="where the real images are; default: made-up ones")
    args = parsed(parser)
    report = Report("A sweep", args)
    with tempfile.TemporaryDirectory() as made_up:
        folder = args.data.resolve() if args.data else made_up
        if not args.data:
            write_fashion(Path(made_up), train=args.images, test=args.images // 6)
        own = [] if args.data else FASHION
        shared = [*own, f"data_dir={folder}", f"device={args.device}"]
        rates = ",".join(map(str, args.rates))
        script = [sys.executable, str(HERE / "homework.py"), "--data", str(folder), "--device", args.device]
        for net, epochs in product(args.nets, args.epochs):
            sweep = [DLHW, "-m", *NETS[net], *shared, f"epochs={epochs}", f"optimizer.lr={rates}"]
            homework = [[*script, "--net", net, "--epochs", str(epochs), "--lr", str(rate)] for rate in args.rates]
            n = len(args.rates)
            variants = {"homework": commands(*homework, work=n), "sweep": commands(sweep, work=n)}
            measured = speeds(variants, args.rounds, warm_up=0)
            report.add(
                {
                    "net": f"{net}, epochs={epochs}",
                    "homework scripts, s": n / median(measured["homework"]),
                    "dlhw -m, s": n / median(measured["sweep"]),
                    "sweep / homework": ratio(measured["sweep"], measured["homework"]),
                    "wanted on 4 cores": WANTED[net],
                },
                measured,
            )
    report.write()


if __name__ == "__main__":
    main()
