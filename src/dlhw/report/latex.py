"""summary.tex: tables to \\input, which need the package booktabs and nothing else."""

from collections.abc import Iterator

from dlhw.report.contents import Report
from dlhw.report.tables import Table, one_line, settings_table, study_tables

MOST_ROWS = 40  # on a page
SPECIALS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "[": "{[}", "]": "{]}", "*": "{*}", "±": r"$\pm$", "×": r"$\times$",
    "−": r"$-$", "–": "--", "—": "---", "…": r"\dots{}", "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\rightarrow$",
    "°": r"$^{\circ}$", "·": r"$\cdot$", "µ": r"$\mu$", "²": r"$^{2}$", "“": "``", "”": "''", "’": "'", "‘": "`",
}  # fmt: skip
HEAD = """\
% In the preamble: \\usepackage{booktabs}
% Letters that are not Latin need XeLaTeX or LuaLaTeX and a font that has them.
"""


def summary_tex(report: Report) -> str:
    tables = [*study_tables(report), settings_table(report)]
    return HEAD + "".join(latex(page, report.title) for table in tables for page in pages(table))


def pages(table: Table) -> Iterator[Table]:
    for start in range(0, max(len(table.lines), 1), MOST_ROWS):
        bold = None if table.bold is None else table.bold - start
        yield Table(table.title, table.header, table.lines[start : start + MOST_ROWS], table.words, bold)


def latex(table: Table, title: str) -> str:
    columns = "".join(
        "l" if i < table.words or name in ("verdict", "note") else "r" for i, name in enumerate(table.header)
    )
    lines = [row(line, bold=index == table.bold) for index, line in enumerate(table.lines)]
    return "\n".join([
        r"\begin{table}[htbp]", r"\centering", r"\small", rf"\caption{{{escaped(f'{title}: {table.title}')}}}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule", row(table.header), r"\midrule", *lines,
        r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def row(cells: list[str], bold: bool = False) -> str:
    texts = [rf"\textbf{{{escaped(text)}}}" if bold and text else escaped(text) for text in cells]
    return " & ".join(texts) + r" \\"


def escaped(text: str) -> str:
    """Signs that LaTeX reads as its own, as letters. Brackets and asterisks too, which a line's end would take up."""
    return "".join(SPECIALS.get(character, character) for character in one_line(text))
