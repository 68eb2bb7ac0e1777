"""summary.csv, .md and .tex, against what was computed by hand."""

import csv
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from made_up_sweeps import accuracies, lr_study, lr_sweep, write_sweep

from dlhw.report.contents import Claim, Estimate
from dlhw.report.latex import escaped as tex
from dlhw.report.latex import summary_tex
from dlhw.report.markdown import escaped as md
from dlhw.report.markdown import summary_md
from dlhw.report.reading import read_report
from dlhw.report.tables import aligned, number, settings_table, summary_csv
from dlhw.report.terminal import told

NASTY = r"a|b & c_d 100% $x$ #1 {y} ^2 ~z \w [512] <i> *x* ± 0.1"

CSV = """\
label,status,optimizer.lr,seed,test/accuracy,test/loss,val/accuracy,train/accuracy,train/loss,gap,best_epoch,epochs,\
parameters,seconds,samples_per_second,folder,error
"lr=0.1,seed=0",finished,0.1,0,0.5,0.5,0.53125,0.96,0.25,0.45999999999999996,2,2,407050,8.0,200.0,"lr=0.1,seed=0-00000000",
"lr=0.1,seed=1",finished,0.1,1,0.75,0.25,0.78125,0.96,0.25,0.20999999999999996,2,2,407050,8.0,200.0,"lr=0.1,seed=1-00000001",
"lr=0.01,seed=0",finished,0.01,0,0.875,0.125,0.90625,0.96,0.25,0.08499999999999996,2,2,407050,8.0,200.0,"lr=0.01,seed=0-00000002",
"lr=0.01,seed=1",finished,0.01,1,0.9375,0.0625,0.96875,0.96,0.25,0.022499999999999964,2,2,407050,8.0,200.0,"lr=0.01,seed=1-00000003",
"lr=0.001,seed=0",finished,0.001,0,0.75,0.25,0.78125,0.96,0.25,0.20999999999999996,2,2,407050,8.0,200.0,"lr=0.001,seed=0-00000004",
"lr=0.001,seed=1",finished,0.001,1,0.75,0.25,0.78125,0.96,0.25,0.20999999999999996,2,2,407050,8.0,200.0,"lr=0.001,seed=1-00000005",
"""

# sd of two values: their difference over sqrt(2): 0.25 -> 0.177, 0.0625 -> 0.0442.
MD = """\
| optimizer.lr | n | test/accuracy | test/loss | val/accuracy | train/accuracy | train/loss | seconds |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| 0.1 | 2 | 0.62 ± 0.18 | 0.38 ± 0.18 | 0.66 ± 0.18 | 0.9600 ± 0 | 0.2500 ± 0 | 8.000 ± 0 |
| **0.01** | **2** | **0.906 ± 0.044** | **0.094 ± 0.044** | **0.938 ± 0.044** | \
**0.9600 ± 0** | **0.2500 ± 0** | **8.000 ± 0** |
| 0.001 | 2 | 0.7500 ± 0 | 0.2500 ± 0 | 0.7812 ± 0 | 0.9600 ± 0 | 0.2500 ± 0 | 8.000 ± 0 |
"""


def test_the_summary_of_a_small_sweep(sweep):
    assert summary_csv(read_report([sweep])) == CSV


def test_equal_results_give_equal_bytes_timings_aside(sweep, tmp_path):
    other = lr_sweep(tmp_path / "elsewhere" / "fc_digits-0a1b2c3d")
    for path in other.glob("*/results.json"):
        path.write_text(path.read_text().replace('"seconds": 8.0', '"seconds": 9.5'))
    first, second = (summary_csv(read_report([folder])) for folder in (sweep, other))
    assert first != second
    assert first == second.replace(",9.5,", ",8.0,")


def test_the_settings_by_hand(sweep):
    text = summary_md(read_report([sweep]))
    assert MD in text
    assert text.startswith("# fc_digits\n\n```sh\ndlhw -m optimizer.lr=0.1,0.01 seed=0,1\n```\n")
    assert "Best by val/accuracy: lr=0.01 (val/accuracy 0.938 ± 0.044, test/accuracy 0.906 ± 0.044)." in text


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.89312,), "0.8931"), ((1.0,), "1.000"), ((21.456,), "21.46"), ((2.6e-7,), "2.6e-07"), ((0.0,), "0"),
        ((123456.0,), "123456"), ((0.8910, 0.8952), "0.8931 ± 0.0030"), ((0.5, 0.5), "0.5000 ± 0"),
        ((2.6e-7, 2.8e-7), "2.700e-07 ± 1.4e-08"), ((100.0, 300.0), "200 ± 141"),
    ],
)  # fmt: skip
def test_digits(values, shown):
    mean = sum(values) / len(values)
    sd = abs(values[0] - values[1]) / 2**0.5 if len(values) > 1 else None
    assert number(Estimate(mean, sd, values)) == shown


def test_failures_and_queued_runs_are_told(tmp_path):
    runs = [
        {"values": {"optimizer.lr": 1.0}, "status": "failed", "error": "the loss is nan | at\nstep 3"},
        {"values": {"optimizer.lr": 0.1}, "queued": True},
    ]
    report = read_report([write_sweep(tmp_path / "sweep", ["optimizer.lr"], runs)])
    lines = list(csv.reader(summary_csv(report).splitlines()))
    assert [line[:4] for line in lines[1:]] == [["lr=1.0", "failed", "1.0", "0"], ["lr=0.1", "queued", "0.1", "0"]]
    assert lines[1][-1] == "the loss is nan | at step 3"
    text = summary_md(report)
    assert "| 1.0 | 0 of 1 |" in text
    assert r"- lr=1.0 (failed): the loss is nan \| at step 3" in text


def test_a_study_side_by_side(tmp_path):
    measured = {0.0001: [0.86], 0.001: [0.88, 0.90], 0.01: []}
    text = summary_md(read_report([lr_study(tmp_path / "study", measured, [0.8624, 0.95, 0.9])]))
    assert (
        """\
## learning\\_rate

| row | metric | reported | measured | difference | verdict |
| --- | --- | ---: | ---: | ---: | --- |
| 0.0001 | test/accuracy | 0.8624 | 0.8600 | -0.0024 | agrees |
| 0.001 | test/accuracy | 0.95 | 0.890 ± 0.014 | -0.06 | differs |
| 0.01 | test/accuracy | 0.9 | – | – | not run |
""".replace("\\_", "_")
        in text
    )
    assert "- Source: report 004." in text


def nasty_report(tmp_path):
    claims = [Claim(NASTY, "holds", NASTY)]
    runs = [
        {"values": {"model.hidden": [512, i]}, "figures": accuracies(0.75 + i / 100, 0.75 + i / 100)} for i in range(3)
    ]
    report = read_report([write_sweep(tmp_path / "sweep", ["model.hidden"], runs, name=NASTY)])
    return replace(report, claims=claims, question=NASTY)


def test_markdown_keeps_its_columns(tmp_path):
    text = summary_md(nasty_report(tmp_path))
    assert md("a|b <i> *x* `y` _z_ weight_decay") == r"a\|b \<i> \*x\* \`y\` \_z\_ weight_decay"
    widths: list[set[int]] = [set()]
    for line in text.splitlines():
        if line.startswith("|"):
            widths[-1].add(len(re.findall(r"(?<!\\)\|", line)))
        elif widths[-1]:
            widths.append(set())
    assert [len(width) for width in widths if width] == [1, 1]


def test_latex_by_structure(tmp_path):
    study = read_report([lr_study(tmp_path / "study", {i / 1000: [0.8] for i in range(1, 46)}, [0.8] * 45)])
    for report in (nasty_report(tmp_path), study):
        text = summary_tex(report)
        body = re.sub(r"(?m)^%.*$", "", text)
        plain = re.sub(r"\\[{}]", "", body)
        assert plain.count("{") == plain.count("}")
        assert re.findall(r"\\begin{(\w+)}", body) == ["table", "tabular"] * body.count(r"\end{table}")
        for columns, table in re.findall(r"\\begin{tabular}{@{}([lr]+)@{}}(.*?)\\end{tabular}", body, re.DOTALL):
            rows = [line for line in table.splitlines() if line.endswith(r"\\")]
            assert 2 <= len(rows) <= 41
            assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows} == {len(columns)}
            assert not any(line.startswith(("[", "*")) for line in rows)
            assert [line for line in table.split("\n") if line.endswith("rule")] == [
                r"\toprule",
                r"\midrule",
                r"\bottomrule",
            ]


def test_latex_escapes_its_specials():
    assert tex(r"\ { } $ & # % _ ^ ~") == (
        r"\textbackslash{} \{ \} \$ \& \# \% \_ \textasciicircum{} \textasciitilde{}"
    )  # fmt: skip
    assert tex("[512] ± <a>") == r"{[}512{]} $\pm$ \textless{}a\textgreater{}"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path):
    (tmp_path / "summary.tex").write_text(summary_tex(nasty_report(tmp_path)), encoding="utf-8")
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\\input{summary}\\end{document}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_terminal(sweep):
    report = read_report([sweep])
    lines = aligned(settings_table(report)).splitlines()
    assert lines[0].split() == ["optimizer.lr", "n", "test/accuracy", "test/loss", "val/accuracy", "train/accuracy",
                                "train/loss", "seconds"]  # fmt: skip
    assert lines[2].startswith("0.01          2  0.906 ± 0.044")
    assert len(aligned(settings_table(report), most=2).splitlines()) == 4
    assert aligned(settings_table(report), most=2).endswith("… and 1 more")
    assert "paired t test over 2 seeds" in told(report)


def test_runs_of_two_tasks_each_show_their_own_figure(tmp_path):
    segmented = {
        "test/miou": 0.69,
        "test/loss": 0.06,
        "train/miou": 0.71,
        "train/loss": 0.05,
        "monitor": "val/miou (max)",
    }
    restored = {
        "test/psnr": 21.5,
        "test/loss": 0.008,
        "train/psnr": 21.3,
        "train/loss": 0.009,
        "monitor": "val/psnr (max)",
    }
    runs = [
        {"values": {"model": name}, "figures": figures, "rows": [[table, name]]}
        for table, name, figures in (("segmentation", "a", segmented), ("segmentation", "b", segmented),
                                     ("restoration", "c", restored))
    ]  # fmt: skip
    tables = {"segmentation": {"rows": [{"label": "a"}, {"label": "b"}]}, "restoration": {"rows": [{"label": "c"}]}}
    study = {"name": "both", "title": "Both", "question": "?", "tables": tables}
    text = summary_md(read_report([write_sweep(tmp_path / "s", ["model"], runs, kind="study", study=study)]))
    assert "| a | test/miou | – | 0.6900 | – | not judged |" in text
    assert "| c | test/psnr | – | 21.50 | – | not judged |" in text
    assert "| model | n | test/miou | test/psnr | test/loss | train/miou | train/psnr | train/loss |" in text
