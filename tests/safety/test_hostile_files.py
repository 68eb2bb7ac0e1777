"""Files that a run leaves, or a user's folder holds, with hostile content: shown harmless, or refused in one line."""

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from outcomes import Outcome
from payloads import Payload
from PIL import Image

import dlhw
from dlhw import report_cli
from dlhw.errors import UserError
from dlhw.plot.run import plot_run

Door = Callable[..., Outcome]
NAMES = ("<img src=x onerror=alert(1)>", "a|b", "$x_1$", "..x", "$\\frac{", "</style><script>alert(1)<", "{{ 7 * 7 }}",
         "a\nb", "\x1b[31mred\x1b]0;title\x07", "![x](http:evil)", "=HYPERLINK(1)", "'; drop")  # fmt: skip
EVIL = '"></style></script><script>alert(1)</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Scripts, addresses and handlers of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts, self.policy = 0, ""
        self.addresses: list[str | None] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        if tag == "meta" and dict(attributes).get("http-equiv"):
            self.policy = str(dict(attributes)["content"])
        for name, value in attributes:
            if name.startswith("on"):
                self.handlers.append(f"{tag} {name}")
            if name in ("src", "href") and not str(value).startswith(("data:", "#")):
                self.addresses.append(value)


def report_of(folder: Path) -> dict[str, str]:
    """The texts of a report, which names no address and runs no script but its own."""
    report_cli.main([str(folder)])
    (page,) = folder.rglob("report.html") if (folder / "report.html").exists() else folder.parent.rglob("report.html")
    texts = {
        path.name: path.read_text() for path in page.parent.iterdir() if path.suffix in (".html", ".md", ".tex", ".csv")
    }
    seen = Page(texts["report.html"])
    assert (seen.scripts, seen.handlers, seen.addresses) == (1, [], [])
    assert seen.policy.startswith("default-src 'none'")
    markdown = texts["summary.md"]
    assert not re.search(r"(?<!\\)<(?=[a-zA-Z/])", re.sub(r"(?ms)^(`{3,}).*?^\1$", "", markdown))
    assert not re.search(r"(?<!\\)\]\(", markdown)
    assert not any(sign in text for sign in "\x1b\x07" for name, text in texts.items() if name != "report.html")
    return texts


def test_names_of_classes(door: Door, here: Path) -> None:
    for name in NAMES:
        (here / "photos" / name.replace("/", "\N{DIVISION SLASH}")).mkdir(parents=True)
        for index in range(6):
            Image.new("RGB", (4, 4), (40 * index, 0, 0)).save(
                here / "photos" / name.replace("/", "\N{DIVISION SLASH}") / f"{index}.png"
            )
    run = dlhw.run("model=fc", "model.hidden=[4]", "epochs=1", "threads=1", "device=cpu", "dataset=image_folder",
                   "dataset.root=photos", "dataset.image_size=4", "hydra.run.dir=outputs/run")  # fmt: skip
    assert {path.stem for path in run.plots} >= {"confusion_matrix", "predictions"}
    report_of(here / "outputs/run")
    outcome = door("run=outputs/run", f"images=['photos/{NAMES[1]}/0.png']", program="dlhw-eval")
    assert outcome.code == 0, outcome
    assert "\x1b" not in outcome.out


def test_a_class_called_as_the_folder_above(here: Path) -> None:
    """No folder can be; an archive's or a saved config's class can, and is a mere word."""
    config = {"dataset": {"classes": ["../x", "/etc/passwd"]}}
    assert plots_of(here, classes=np.array(["../x", "/etc/passwd"], dtype="U"), config=config)
    assert not (here.parent / "x").exists()


def plots_of(here: Path, classes: Any, config: dict[str, Any]) -> list[Path]:
    folder = here / "outputs/made"
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.csv").write_text("epoch,train/loss\n1,0.5\n2,0.4\n")
    np.savez(folder / "arrays.npz", classes=classes, confusion=np.array([[3, 1], [0, 4]]))
    paths = plot_run(folder, "all")
    assert all(path.parent == folder / "plots" for path in paths)
    return paths


HOSTILE: dict[str, dict[str, str]] = {
    "text in results.json": {"results.json": json.dumps(dict.fromkeys(("test/accuracy", "name", "seed"), EVIL))},
    "a list in results.json": {"results.json": "[1, 2]"},
    "no numbers in results.json": {"results.json": '{"test/accuracy": NaN, "test/loss": 1e999, "epochs": -Infinity}'},
    "huge numbers in results.json": {"results.json": json.dumps({"test/accuracy": 10**400, "epochs": 10**30})},
    "deep results.json": {"results.json": "[" * 100_000},
    "half a results.json": {"results.json": '{"test/accuracy": 0.5, "tes'},
    "text in status.json": {"status.json": json.dumps({"status": "failed", "error": EVIL, "traceback": EVIL})},
    "a status that is none": {"status.json": json.dumps({"status": [EVIL]})},
    "text in metrics.csv": {"metrics.csv": f'epoch,{EVIL.replace(",", "")}\n1,"{EVIL[1:]}"\n2,=1+1\n'},
    "no numbers in metrics.csv": {"metrics.csv": "epoch,train/loss\n1,nan\n2,inf\n3,1e999\n-1,-inf\n"},
    "bytes in metrics.csv": {"metrics.csv": "epoch,\0\x1b[31m\n1,\0\n"},
    "text in config.yaml": {".hydra/config.yaml": yaml.safe_dump({"name": EVIL, "model": {"_target_": EVIL, EVIL: 1}})},
    "targets to be imported": {"results.json": json.dumps({"code": "x", "targets": ["evil.deep.Net", "evil.Net"]})},
    "an overrides.yaml of signs": {".hydra/overrides.yaml": yaml.safe_dump([EVIL, "```", "\x1b[31m", "=1+1"])},
}  # fmt: skip


def test_a_report_of_all_of_them(here: Path, finished_run: Path, trace: Path) -> None:
    """Beside a run with nothing wrong, whose figures are there."""
    for index, files in enumerate([{}, *HOSTILE.values()]):
        run = here / f"outputs/sweep/run-{index:08}"
        shutil.copytree(finished_run, run)
        for name, text in files.items():
            (run / name).write_text(text)
    texts = report_of(here / "outputs/sweep")
    figures = json.loads((finished_run / "results.json").read_text())
    assert repr(figures["test/loss"]) in texts["summary.csv"]
    assert texts["summary.csv"].count("run-0000") >= len(HOSTILE)


def test_arrays_that_are_objects(here: Path, finished_run: Path, trace: Path) -> None:
    """NumPy would unpickle them."""
    run = here / "outputs/run"
    shutil.copytree(finished_run, run)
    objects = np.empty(1, object)
    objects[0] = Payload(trace)
    np.savez(run / "arrays.npz", classes=objects, confusion=objects)
    with pytest.raises((UserError, ValueError), match="allow_pickle=False"):
        plot_run(run, "all")


def test_decoded_images_that_are_objects(here: Path, trace: Path) -> None:
    from dlhw.dataset.decoded import decoded

    objects = np.empty(1, object)
    objects[0] = Payload(trace)
    np.save(here / "photos.npy", objects, allow_pickle=True)
    with pytest.raises(UserError, match=r"photos\.npy cannot be kept there"):
        decoded(str(here), "photos", (1,), lambda row: np.zeros(1, np.uint8), 1, "ImageFolder")


PICKLES = {
    "a call": lambda trace: __import__("pickle").dumps({"data": Payload(trace), "labels": []}, 2),
    "a call by text": lambda trace: f"cos\nmkdir\n(S'{trace}'\ntR.".encode(),
    "a call of a builtin": lambda trace: f"c__builtin__\neval\n(S'open({str(trace)!r},chr(119))'\ntR.".encode(),
    "by a name of ours": lambda trace: f"cdlhw.dataset.cifar10\nio.open\n(S'{trace}'\nS'w'\ntR.".encode(),
    "through NumPy": lambda trace: f"cnumpy\nos.mkdir\n(S'{trace}'\ntR.".encode(),
    "through an attribute": lambda trace: f"c_codecs\nencode.__globals__\n(S'{trace}'\ntR.".encode(),
    "by an extension": lambda trace: b"\x80\x02\x82\x01.",
    "a persistent id": lambda trace: b"Pevil\n.",
}


@pytest.mark.parametrize("pickled", PICKLES)
def test_a_batch_of_cifar10(pickled: str, here: Path, trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its hash is checked before; here as if it were the right one."""
    from dlhw.dataset import cifar10

    content = PICKLES[pickled](trace)
    (here / cifar10.FOLDER).mkdir()
    for name in cifar10.MD5:
        (here / cifar10.FOLDER / name).write_bytes(content)
    facts = {"in_channels": 3, "image_size": 32, "in_features": 3072, "classes": None, "num_classes": None}
    dataset = cifar10.CIFAR10(root=str(here), seed=0, val_size=0, **facts)
    with pytest.raises(UserError, match="expected"):
        dataset.read()
    monkeypatch.setattr(cifar10, "check_md5", lambda *args: None)
    with pytest.raises(UserError, match="could not be read"):
        dataset.read()
