"""The shipped studies, their run lists, and what the strict reading of a definition refuses."""

import subprocess
import sys
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict

from dlhw.config.compose import composed
from dlhw.config.shipped import conf_dir, hydra_session, shipped_groups
from dlhw.errors import UserError
from dlhw.sweep.overrides import each_once, key_of, override
from dlhw.sweep.study import Study, StudyRun, read_study, run_list
from dlhw.sweep.study_fields import METRICS
from dlhw.tasks import TASKS

# Each study: how many runs it lists, how many test accuracies and how many figures of any kind it has from its source.
SHIPPED = {
    "cnn_framework": (2, 2, 4),
    "cnn_from_scratch": (1, 0, 0),
    "fashion_fc": (1, 1, 1),
    "fashion_lenet5": (46, 44, 85),
    "lenet_relu": (1, 0, 0),
    "mlp_from_numpy_to_pytorch": (6, 2, 6),
    "numpy_and_pytorch": (33, 1, 1),
    "rnn_from_scratch": (2, 0, 2),
    "simple_convnet": (18, 5, 5),
    "two_layer_cifar10": (12, 0, 2),
    "unet": (3, 0, 0),
    "vgg16_resnet50": (2, 0, 0),
    "xor": (21, 0, 4),
}


def definition(name: str) -> dict[str, Any]:
    content = yaml.safe_load((conf_dir() / f"study/{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def study(name: str, **changes: Any) -> Study:
    return read_study({**definition(name), **changes})


def reported(read: Study, metric: str) -> dict[str, list[float]]:
    """By table, the source's figures of a metric."""
    found = {t.name: [r.reported[metric] for r in t.rows if metric in r.reported] for t in read.tables.values()}
    return {table: column for table, column in found.items() if column}


def compose(overrides: list[str]) -> DictConfig:
    with hydra_session() as session:
        config = composed([*session, *overrides])
    with open_dict(config):
        del config["hydra"]
    return config


def test_every_study_is_counted_here() -> None:
    assert {path.stem for path in (conf_dir() / "study").glob("*.yaml")} == SHIPPED.keys()


@pytest.mark.parametrize("name", SHIPPED)
class TestAShippedStudy:
    def test_names_itself_and_its_command(self, name: str) -> None:
        first = (conf_dir() / f"study/{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
        assert first.startswith(f"# dlhw study={name} ")
        assert study(name).name == name

    def test_hydra_reads_what_yaml_says(self, name: str) -> None:
        """Hydra takes 1e-4 and the like for numbers, where plain YAML has text."""
        assert OmegaConf.to_container(OmegaConf.load(conf_dir() / f"study/{name}.yaml")) == definition(name)

    def test_its_runs_and_figures(self, name: str) -> None:
        read = study(name)
        rows = [row for table in read.tables.values() for row in table.rows]
        accuracies = sum("test/accuracy" in row.reported for row in rows)
        assert (len(run_list(read, [])), accuracies, sum(len(row.reported) for row in rows)) == SHIPPED[name]

    def test_its_figures_are_possible(self, name: str) -> None:
        for table in study(name).tables.values():
            for row in table.rows:
                figures = [*row.reported.items(), *((m, v) for m, column in row.curves.items() for v in column)]
                for metric, value in figures:
                    most = 1 if metric.endswith("accuracy") else 1e5
                    assert value is None or 0 <= value <= most, (table.name, row.label, metric)

    def test_it_says_what_it_is_about(self, name: str) -> None:
        read = study(name)
        assert read.title
        assert read.question.endswith("?")
        assert read.notes
        assert all(claim.says.endswith(".") for claim in read.claims)

    def test_its_runs_compose(self, name: str) -> None:
        """One run of each kind: those that choose the same options and set the same keys differ by a number alone."""
        for overrides in kinds(study(name)):
            config = compose(overrides)
            # what the source did: nothing is held out, except where a validation figure is what it reports
            assert config.dataset.val_size == 0 or name in ("two_layer_cifar10", "unet")


def kinds(read: Study) -> list[list[str]]:
    groups = shipped_groups()
    found: dict[tuple[str, ...], list[str]] = {}
    for run in run_list(read, []):
        kind = tuple(text if key_of(text) in groups else key_of(text) for text in run.overrides)
        found.setdefault(kind, run.overrides)
    return list(found.values())


def test_the_43_accuracies_of_lenet5_and_its_rival() -> None:
    tables = reported(study("fashion_lenet5"), "test/accuracy")
    rival = tables.pop("fully_connected")
    assert rival == [0.894]
    assert sum(map(len, tables.values())) == 43
    assert tables.pop("base") == [0.8924]
    assert {table: len(column) for table, column in tables.items()} == {
        "scheduler_lr_0.001": 6, "scheduler_lr_0.01": 6, "learning_rate": 8, "optimizer": 3, "loss_function": 3,
        "batch_size": 8, "activation": 3, "pooling": 1, "batch_norm": 1, "dropout": 1, "combined": 2,
    }  # fmt: skip
    assert sum(sum(column) for column in tables.values()) == pytest.approx(37.1677)


def test_base_lenet5_is_one_run_in_five_tables() -> None:
    runs = {row: run.overrides for run in run_list(study("fashion_lenet5"), []) for row in run.rows}
    base = compose(runs["base", "base"])
    for row in (("optimizer", "adam"), ("loss_function", "cross_entropy"), ("activation", "tanh")):
        assert compose(runs[row]) == base, row
    assert compose(runs["optimizer", "rmsprop"]).optimizer.lr == 0.001


def test_the_plateau_follows_the_training_loss() -> None:
    (run,) = run_list(study("fashion_lenet5", only=["scheduler_plateau"]), [])
    assert compose(run.overrides).scheduler.metric == "train/loss"


def test_a_typed_data_set_reaches_all_but_the_toy() -> None:
    typed = ["dataset=image_folder", "dataset.root=photos", "epochs=3"]
    runs = {run.rows[0][0]: run.overrides for run in run_list(study("two_layer_cifar10"), typed)}
    toy, tuned, untuned = (compose(runs[table]) for table in ("toy", "tuned", "untuned"))
    assert toy.dataset._target_ == "dlhw.dataset.toy.Toy"
    assert tuned.dataset._target_ == untuned.dataset._target_ == "dlhw.dataset.image_folder.ImageFolder"
    assert (tuned.dataset.root, tuned.dataset.train_size, tuned.dataset.normalize) == ("photos", 19000, "pixel")
    assert {config.epochs for config in (toy, tuned, untuned)} == {3}


def test_all_metrics_of_tasks_are_known() -> None:
    assert {name for task in TASKS.values() for name in task.metric_names} <= set(METRICS)


def test_it_imports_no_torch() -> None:
    code = "import sys, dlhw.sweep.study; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SMALL: dict[str, Any] = {
    "name": "small",
    "base": ["model=fc", "epochs=3"],
    "tables": {
        "rate": {"by": "optimizer.lr", "values": [1e-05, 0.1], "reported": {"test/accuracy": [None, 0.9]}},
        "model": {
            "set": ["epochs=4"],
            "rows": [
                {"label": "wide", "set": ["model.hidden=[64]"], "seeds": 2},
                {"label": "deep", "set": ["model.hidden=[8,8]", "epochs=5"]},
            ],
        },
    },
    "claims": [{"says": "Wide is better.", "checks": [{"order": ["model/wide", "model/deep"], "metric": "val/loss"}]}],
}


def runs(*typed: str, **changes: Any) -> list[StudyRun]:
    return run_list(read_study({**SMALL, **changes}), typed)


class TestTheRunList:
    def test_order_and_rows(self) -> None:
        assert runs() == [
            StudyRun(["model=fc", "epochs=3", "optimizer.lr=1e-05"], [("rate", "1e-05")]),
            StudyRun(["model=fc", "epochs=3", "optimizer.lr=0.1"], [("rate", "0.1")]),
            StudyRun(["model=fc", "epochs=4", "model.hidden=[64]", "seed=0"], [("model", "wide")]),
            StudyRun(["model=fc", "epochs=4", "model.hidden=[64]", "seed=1"], [("model", "wide")]),
            StudyRun(["model=fc", "model.hidden=[8,8]", "epochs=5"], [("model", "deep")]),
        ]

    def test_the_users_words_count_last(self) -> None:
        assert all(run.overrides[-2:] == ["model=lenet5", "epochs=9"] for run in runs("model=lenet5", "epochs=9")[:2])
        assert {text for run in runs("epochs=9") for text in run.overrides if "epochs" in text} == {"epochs=9"}

    def test_only(self) -> None:
        assert [run.rows for run in runs(only=["rate"])] == [[("rate", "1e-05")], [("rate", "0.1")]]

    def test_seeds_of_the_study_count_before_the_rows(self) -> None:
        assert [run.overrides[-1] for run in runs(seeds=3)] == ["seed=0", "seed=1", "seed=2"] * 4
        assert [run.overrides[-1] for run in runs(seeds=1)] == ["seed=0"] * 4

    def test_a_typed_seed_counts_before_the_rows(self) -> None:
        assert [run.overrides[-1] for run in runs("seed=7")] == ["seed=7"] * 4

    def test_limit(self) -> None:
        for run in runs("limit_batches=50", "loss_below=0.1", limit=2):
            ends = ["epochs=1", "limit_batches=2", "loss_below=null", "early_stopping.patience=null"]
            assert [text for text in run.overrides if text in ends] == ends
            assert sum("limit_batches" in text for text in run.overrides) == 1

    def test_from_a_config_node(self) -> None:
        assert run_list(read_study(OmegaConf.create(SMALL)), []) == runs()

    def test_a_missing_figure_is_left_out(self) -> None:
        assert [row.reported for row in read_study(SMALL).tables["rate"].rows] == [{}, {"test/accuracy": 0.9}]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["model=fc", "epochs=3", "model=lenet5"], ["epochs=3", "model=lenet5"]),
        (["dataset=toy", "dataset.root=a", "dataset=mnist"], ["dataset.root=a", "dataset=mnist"]),
        (["+loss.reduction=sum", "loss.reduction=mean"], ["++loss.reduction=mean"]),
        (["+loss.reduction=sum", "+loss.reduction=mean"], ["+loss.reduction=mean"]),
        (["++epochs=3", "~epochs"], ["~epochs"]),
        (["epochs=3", "++epochs=4"], ["++epochs=4"]),
    ],
)
def test_a_key_given_twice(given: list[str], kept: list[str]) -> None:
    assert each_once(given) == kept


@cache
def parser() -> OverridesParser:
    return OverridesParser.create()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(SCALARS | st.lists(SCALARS | st.lists(SCALARS, max_size=3), max_size=4))
@example(1e-05)
@example("it's a \\' quote\\")
@example(["null", "True", "1e3", "a,b", "", " a ", "nan", "-inf"])
def test_what_is_rendered_is_read_back(value: Any) -> None:
    read = parser().parse_override(override("model.width", value)).value()
    assert read == value
    assert repr(read) == repr(value)  # 1 is not 1.0, nor true


def changed(path: str, value: Any) -> dict[str, Any]:
    """SMALL with the value at a dotted path changed, added, or taken away (value ...)."""
    whole = deepcopy(SMALL)
    node: Any = whole
    *above, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in above:
        node = node[key]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return whole


CHECK = "claims.0.checks.0"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("tabels", {}, "unknown key study.tabels; did you mean study.tables?"),
        ("name", ..., "study.name is missing"),
        ("name", "a/b", "study.name=a/b: names a folder"),
        ("name", "two\nlines", "study.name=two lines: names a folder"),
        ("tables", {}, "study.tables: there is none"),
        ("tables", [], "study.tables=[]: must be dict"),
        ("title", 3, "study.title=3: must be str"),
        ("base", "model=fc", "study.base=model=fc: must be list[str]"),
        ("base", ["model"], "study.base: model is no override, such as optimizer.lr=0.1"),
        ("notes", "one", "study.notes=one: must be list[str]"),
        ("seeds", 0, "study.seeds=0: must be at least 1 or null"),
        ("seeds", "3", "study.seeds=3: must be int | null"),
        ("limit", -1, "study.limit=-1: must be at least 1 or null"),
        ("only", ["rates"], "study.only=rates: no such table (rate, model); did you mean rate?"),
        ("tolerance", {"test/accuracy": "25"}, "study.tolerance.test/accuracy=25: is a number, a percentage such as"),
        ("tolerance", {"test/accuracy": -1}, "study.tolerance.test/accuracy=-1: is a number"),
        ("tolerance", {"test/accuracy": True}, "study.tolerance.test/accuracy=true: is a number"),
        ("tolerance", {"test/acuracy": 1}, "study.tolerance: test/acuracy is no figure of a run; did you mean test/"),
        ("noise", {"secnds": 1}, "study.noise: secnds is no figure of a run; did you mean seconds?"),
        ("noise", {"seconds": float("inf")}, "study.noise.seconds=inf: must be a finite number"),
        ("tables.rate", 3, "study.tables.rate=3: has the keys by, values, set, reported"),
        ("tables.a/b", {"rows": []}, "study.tables.a/b: a table's name has"),
        ("tables.model.rows", [], "study.tables.model: has no rows"),
        ("tables.model.row", [], "unknown key study.tables.model.row; did you mean study.tables.model.rows?"),
        ("tables.rate.vlues", [], "unknown key study.tables.rate.vlues; did you mean study.tables.rate.values?"),
        ("tables.rate.values", ..., "study.tables.rate.values is missing"),
        ("tables.rate.values", [0.1, 0.1], "study.tables.rate: two rows are called 0.1"),
        ("tables.rate.values", [1, 2, 3], "study.tables.rate.reported.test/accuracy: has 2 figures for 3 values"),
        ("tables.rate.values", [{}, 2], "study.tables.rate.values=[{}, 2]: must be list["),
        ("tables.rate.by", "lr=", "study.tables.rate.by=lr=: is the key of an override"),
        ("tables.rate.reported", {"accuracy": [1, 2]}, "study.tables.rate.reported: accuracy is no figure of a run"),
        ("tables.rate.reported", {"test/loss": 1}, "study.tables.rate.reported.test/loss=1: must be a list of numbers"),
        ("tables.rate.reported", {"test/loss": [1, "a"]}, "study.tables.rate.reported.test/loss=a: must be float"),
        ("tables.model.rows.0.label", ..., "study.tables.model.rows[0].label is missing"),
        ("tables.model.rows.0.label", 3, "study.tables.model.rows[0].label=3: must be str"),
        ("tables.model.rows.0.label", " ", "study.tables.model.rows[0].label is empty"),
        ("tables.model.rows.0.label", "deep", "study.tables.model: two rows are called deep"),
        ("tables.model.rows.0.sed", 3, "unknown key study.tables.model.rows[0].sed; did you mean"),
        ("tables.model.rows.0", 3, "study.tables.model.rows[0]=3: has the keys label, "),
        ("tables.model.rows.0.seeds", 0, "study.tables.model.rows[0].seeds=0: must be at least 1 or null"),
        ("tables.model.rows.0.reported", {"gap": "a"}, "study.tables.model.rows[0].reported.gap=a: must be float"),
        ("tables.model.rows.0.curves", {"gap": 1}, "rows[0].curves.gap=1: must be a list of numbers"),
        ("claims.0", "Wide is better.", "study.claims[0]=Wide is better.: has the keys says, checks"),
        ("claims.0.sais", "", "unknown key study.claims[0].sais; did you mean study.claims[0].says?"),
        ("claims.0.says", ..., "study.claims[0].says is missing"),
        ("claims.0.checks", [], "study.claims[0].checks: there is none"),
        (CHECK, {}, "study.claims[0].checks[0]: nothing is no check (rises, falls, "),
        (CHECK, "better", "study.claims[0].checks[0]=better: is a check: rises, "),
        (CHECK, {"rise": "rate"}, "study.claims[0].checks[0]: rise is no check (rises, "),
        (f"{CHECK}.metric", ..., "study.claims[0].checks[0].metric is missing: order needs it"),
        (f"{CHECK}.metric", "val/los", "checks[0].metric: val/los is no figure of a run; did you mean val"),
        (f"{CHECK}.within", 1, "unknown key study.claims[0].checks[0].within; known here: order, metric"),
        (f"{CHECK}.order", ["model/wide"], "study.claims[0].checks[0].order: compares two rows or more"),
        (f"{CHECK}.order", ["wide", "deep"], "study.claims[0].checks[0].order=wide: a row is named as table/label"),
        (f"{CHECK}.order", ["modl/wide", "a/b"], "order=modl: no such table (rate, model); did you mean model?"),
        (f"{CHECK}.order", ["model/wid", "a/b"], "order=wid: no such row of model (wide, deep); did you mean wide?"),
        (CHECK, {"rises": "rte", "metric": "gap"}, "rises=rte: no such table (rate, model); did you mean rate?"),
        (CHECK, {"rises": "rate", "metric": "gap", "to": "0.2"}, "to=0.2: no such row of rate (1e-05, 0.1)"),
        (CHECK, {"rises": "rate", "metric": "gap", "to": 0.1}, "checks[0].to=0.1: must be str"),
        (CHECK, {"differ": ["rate/0.1"] * 3, "metric": "gap", "by": 1, "within": 1}, "compares two rows, not 3"),
        (CHECK, {"spread": "model/wide", "metric": "gap", "within": "a"}, "within=a: must be float"),
    ],
)  # fmt: skip
def test_refused_in_one_line(path: str, value: Any, says: str) -> None:
    with pytest.raises(UserError) as refused:
        read_study(changed(path, value))
    line = str(refused.value)
    assert says in line
    assert "\n" not in line


def test_a_definition_that_is_none() -> None:
    with pytest.raises(UserError, match=r"study=small: has the keys name, title"):
        read_study("small")  # type: ignore[arg-type]
