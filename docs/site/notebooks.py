"""The tutorials of docs/tutorials: run, and written as pages and as Jupyter notebooks.

A tutorial is a script in the percent format (jupytext, VS Code, Spyder): cells begin with `# %%`, texts with
`# %% [markdown]`, and commands with `# %% language="bash"`.
"""

import ast
import base64
import contextlib
import io
import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from segue.cli import main

CELL = re.compile(r"^# %%(.*)$", flags=re.MULTILINE)
NOISE = re.compile(r"\x1b\[[0-9;]*m|^.*\d+/\d+, \d+ s left.*\n?", flags=re.MULTILINE)
"""Colours, and lines of progress."""


class Cell(NamedTuple):
    """Text (`markdown`), Python (`python`) or commands (`bash`)."""

    kind: str
    content: str


def cells_of(text: str) -> list[Cell]:
    """The cells of a script.

    Raises:
        ValueError: something stands before the first cell.
    """
    before, *parts = CELL.split(text)
    if before.strip():
        raise ValueError("a tutorial begins with a cell")
    cells = []
    for head, body in zip(parts[::2], parts[1::2], strict=True):
        kind = "markdown" if "[markdown]" in head else "bash" if 'language="bash"' in head else "python"
        lines = [re.sub(r"^# ?", "", line) if kind != "python" else line for line in body.strip("\n").splitlines()]
        cells.append(Cell(kind, "\n".join(lines).strip()))
    return cells


class Output(NamedTuple):
    """What a cell printed, and the figures that it showed, as PNG."""

    text: str
    figures: list[bytes]


def run_cell(cell: Cell, names: dict[str, Any]) -> Output:
    """Run a cell in its notebook's names.

    Raises:
        RuntimeError: a command of the cell failed.
    """
    said, figures = io.StringIO(), []
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        if cell.kind == "bash":
            for command in cell.content.replace("\\\n", " ").splitlines():
                run_command_line(command, said)
        elif cell.kind == "python":
            value = run_python(cell.content, names)
            if isinstance(value, Figure):
                figures.append(as_png(value))
            elif value is not None:
                print(value if isinstance(value, str) else repr(value))
    return Output(NOISE.sub("", said.getvalue()).strip("\n"), figures)


def run_command_line(command: str, said: io.StringIO) -> None:
    """Run `segue ...` in this process; its progress lines are left out."""
    program, *rest = shlex.split(command, comments=True)
    if program != "segue" or main(rest) != 0:
        raise RuntimeError(f"{command}\n{said.getvalue()}")


def run_python(code: str, names: dict[str, Any]) -> Any:
    """Run code; the value of its last line, if that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if isinstance(last, ast.Expr) else None


def as_png(figure: Figure) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    return image.getvalue()


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """With `folder` as the working directory."""
    before = Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_notebook(script: Path, pages: Path, work: Path) -> None:
    """Run a tutorial in the folder `work`; write its page, its pictures and its notebook to the folder `pages`."""
    pages.mkdir(parents=True, exist_ok=True)
    cells, names, parts = cells_of(script.read_text()), {"__name__": "__main__"}, []
    outputs = []
    for number, cell in enumerate(cells):
        with inside(work):
            output = run_cell(cell, names)
        outputs.append(output)
        parts.append(cell.content if cell.kind == "markdown" else f"```{cell.kind}\n{cell.content}\n```")
        if output.text:
            parts.append(f"```text\n{output.text}\n```")
        for i, figure in enumerate(output.figures):
            name = f"{script.stem}-{number}-{i}.png"
            (pages / name).write_bytes(figure)
            parts.append(f"![What this cell shows]({name})")
    notebook = f"{script.stem}.ipynb"
    parts.insert(1, f"*[This page as a notebook]({notebook}); every cell was run.*")
    (pages / f"{script.stem}.md").write_text("\n\n".join(parts) + "\n")
    (pages / notebook).write_text(json.dumps(as_notebook(cells, outputs), indent=1) + "\n")


def as_notebook(cells: list[Cell], outputs: list[Output]) -> dict[str, Any]:
    """A Jupyter notebook (nbformat 4.5)."""
    made = [as_notebook_cell(i, cell, output) for i, (cell, output) in enumerate(zip(cells, outputs, strict=True))]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def as_notebook_cell(number: int, cell: Cell, output: Output) -> dict[str, Any]:
    made = {"id": f"cell-{number}", "metadata": {}}
    if cell.kind == "markdown":
        return {**made, "cell_type": "markdown", "source": cell.content}
    text = f"%%bash\n{cell.content}" if cell.kind == "bash" else cell.content
    shown: list[dict[str, Any]] = []
    if output.text:
        shown.append({"output_type": "stream", "name": "stdout", "text": output.text + "\n"})
    for figure in output.figures:
        data = {"image/png": base64.b64encode(figure).decode()}
        shown.append({"output_type": "display_data", "data": data, "metadata": {}})
    return {**made, "cell_type": "code", "execution_count": None, "source": text, "outputs": shown}
