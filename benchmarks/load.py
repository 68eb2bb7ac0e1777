"""What large loads take: a sweep of 500 runs, 16 at once; a folder of 5 GB of images; a report on 10,000 runs.

Memory is that of all processes of a command together (proportional set size, shared pages shared out), sampled twice a
second; of a mapped file, pages that the system may drop at any time are told apart. Of the samples with all processes
under way "then" is the median of the third tenth, "later" that of the last but one: what leaks shows in the difference.

    python benchmarks/load.py [--loads sweep folder report] [--runs 500] [--at-once 16] [--gigabytes 5] [--reported N]
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import yaml
from measure import Report, Row, arguments, parsed
from PIL import Image

DLHW = str(Path(sys.executable).with_name("dlhw"))
SMALL = ("model=fc", "model.hidden=[16]", "dataset.train_size=200", "epochs=2", "plots=none", "threads=1", "device=cpu")
MB = 2**20


@dataclass
class Sample:
    """Of a command's processes, all together."""

    memory: int  # bytes
    files: int  # open ones
    processes: int


@dataclass
class Ended:
    seconds: float
    samples: list[Sample]

    def told(self) -> Row:
        """Its peaks, and how it stood after the start and before the end."""
        processes = max(sample.processes for sample in self.samples)
        standing = [sample for sample in self.samples if sample.processes > 0.8 * processes]
        tenth = max(1, len(standing) // 10)
        then, later = standing[2 * tenth : 3 * tenth] or standing, standing[-2 * tenth : -tenth] or standing
        return {
            "seconds": self.seconds,
            "peak MB": max(sample.memory for sample in self.samples) / MB,
            "MB then": median(sample.memory for sample in then) / MB,
            "MB later": median(sample.memory for sample in later) / MB,
            "files then": median(sample.files for sample in then),
            "files later": median(sample.files for sample in later),
            "processes": processes,
        }


def watched(place: Path, *words: str, program: str = DLHW, mapped: bool = True) -> Ended:
    """A command, sampled until it ends. mapped: count pages of files too. Raises CalledProcessError."""
    start, samples = time.monotonic(), []
    with (
        (place / "out.txt").open("w") as out,
        subprocess.Popen([program, *words], cwd=place, stdout=out, stderr=out) as process,
    ):
        while process.poll() is None:
            samples.append(sample(process.pid, mapped))
            time.sleep(0.5)
    if process.returncode:
        print((place / "out.txt").read_text()[-2000:], file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, words)
    return Ended(time.monotonic() - start, [found for found in samples if found.processes])


def sample(pid: int, mapped: bool) -> Sample:
    total = Sample(0, 0, 0)
    for process in family(pid):
        folder = Path("/proc") / process
        with suppress(OSError, KeyError):  # it has just ended
            rollup = dict(line.split(":") for line in (folder / "smaps_rollup").read_text().splitlines()[1:])
            total.memory += 1024 * int(rollup["Pss" if mapped else "Pss_Anon"].split()[0])
            total.files += sum(1 for _ in (folder / "fd").iterdir())
            total.processes += 1
    return total


def family(pid: int) -> list[str]:
    """A process and all that came of it."""
    found = [str(pid)]
    for parent in found:
        with suppress(OSError):  # it has just ended
            for children in Path(f"/proc/{parent}/task").glob("*/children"):
                found += children.read_text().split()
    return found


def sweep(place: Path, runs: int, at_once: int) -> Row:
    ended = watched(place, "-m", *SMALL, f"seed=range({runs})", f"hydra.launcher.n_jobs={at_once}", "name=load")
    (table,) = place.glob("outputs/sweeps/*/summary.csv")
    finished = table.read_text().count("finished")
    return {"load": f"a sweep of {runs} runs, {at_once} at once", **ended.told(), "finished": finished}


def folder(place: Path, gigabytes: float) -> Row:
    """Of noise, as PNGs of 224x224 in ten classes, each near 150 kB; read, decoded once and streamed for an epoch.

    resident=false, since half of the free memory may well hold them, and then it would.
    """
    rng, count = np.random.default_rng(0), int(gigabytes * 1e9 / 150_900)
    pixels = rng.integers(0, 256, 2**25, dtype=np.uint8)
    for index in range(count):
        path = place / "images" / f"class{index % 10}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.roll(pixels[: 3 * 224 * 224], index).reshape(224, 224, 3)
        image[0, 0] = np.frombuffer(index.to_bytes(3, "little"), np.uint8)
        Image.fromarray(image).save(path, compress_level=0)
    size = sum(path.stat().st_size for path in place.glob("images/*/*")) / 1e9
    words = ("dataset=image_folder", "dataset.root=images", "dataset.image_size=224", *SMALL[:2], *SMALL[4:])
    words += ("epochs=1", "batch_size=256", "checkpoints=last", "name=load", "dataset.resident=false")
    ended = watched(place, *words, mapped=False)
    return {"load": f"{size:.1f} GB of images ({count}), one epoch, streamed; without mapped pages", **ended.told()}


def report(place: Path, runs: int) -> Row:
    """Of one run, copied with other seeds, rates and figures."""
    subprocess.run([DLHW, *SMALL, "hydra.run.dir=one"], cwd=place, check=True, stdout=subprocess.DEVNULL)
    rng, one = random.Random(0), place / "one"
    config = yaml.safe_load((one / ".hydra" / "config.yaml").read_text())
    results = json.loads((one / "results.json").read_text())
    for index in range(runs):
        lr, seed = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)[index % 5], index // 5
        copy = place / "many" / f"lr={lr},seed={seed}"
        (copy / ".hydra").mkdir(parents=True)
        config["seed"], config["optimizer"]["lr"] = seed, lr
        (copy / ".hydra" / "config.yaml").write_text(yaml.dump(config, Dumper=yaml.CSafeDumper))
        figures = {"seed": seed, "test/accuracy": rng.random(), "val/accuracy": rng.random()}
        (copy / "results.json").write_text(json.dumps({**results, **figures}))
        for name in ("metrics.csv", "steps.csv", "status.json", "arrays.npz"):
            (copy / name).hardlink_to(one / name)
    ended = watched(place, "many", "--out", "report", program=DLHW.replace("dlhw", "dlhw-report"))
    return {"load": f"a report on {runs} runs", **ended.told()}


def main() -> None:
    parser = arguments(__doc__, "load", rounds=1, devices=("cpu",))
    parser.add_argument(
        "--loads", nargs="+", choices=("sweep", "folder", "report"), default=["sweep", "folder", "report"]
    )
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--reported", type=int, default=10_000)
    args = parsed(parser)
    written = Report("Large loads", args)
    loads = {
        "sweep": lambda place: sweep(place, args.runs, args.at_once),
        "folder": lambda place: folder(place, args.gigabytes),
        "report": lambda place: report(place, args.reported),
    }
    for name in args.loads:
        with tempfile.TemporaryDirectory() as place:
            written.add(loads[name](Path(place)))
    written.write()


if __name__ == "__main__":
    main()
