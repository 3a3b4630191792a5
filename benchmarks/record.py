"""What a benchmark found: lines in plain words, NAME.json, and the one table made from all JSON files of a folder."""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, description
from segue.errors import InputError
from segue.files import write_text

RESULTS = ROOT / "results" / "benchmarks"
Scale = Mapping[str, Any]
Row = dict[str, str | float | int]


@dataclass(frozen=True)
class Statement:
    """A number and what it is of; `ci95` where there are rounds, or images, to draw from."""

    what: str
    value: float
    ci95: tuple[float, float] | None = None

    def line(self) -> str:
        """In plain words."""
        interval = f" (95% {between(self.ci95)})" if self.ci95 else ""
        return f"{self.what}: {significant(self.value, 4)}{interval}"


@dataclass(frozen=True)
class Findings:
    """Rows of a table, and what they mean: one quantity over another of the same run, or less it."""

    rows: list[Row]
    ratios: list[Statement]
    differences: list[Statement] = field(default_factory=list)


def together(parts: Sequence[Findings]) -> Findings:
    """Several findings as one, in order."""
    return Findings(
        rows=[row for part in parts for row in part.rows],
        ratios=[one for part in parts for one in part.ratios],
        differences=[one for part in parts for one in part.differences],
    )


def run(
    name: str,
    measure: Callable[..., Findings],
    *,
    full: Scale,
    quick: Scale,
    arguments: Sequence[str] | None = None,
) -> None:
    """The command line of one benchmark: measure at a scale, print the ratios, write NAME.json and the table."""
    options = vars(parser(name, measure, full).parse_args(arguments))
    directory = options.pop("out") or (RESULTS / "quick" if options["quick"] else RESULTS)
    base = quick if options.pop("quick") else full
    scale = {key: base[key] if value is None else value for key, value in options.items()}
    began = time.perf_counter()
    try:
        check(scale)
        table(directory)  # refuses what it cannot read, before anything takes long
        findings = measure(**scale)
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    write(name, findings, scale=scale, seconds=time.perf_counter() - began, directory=directory)
    for found in findings.ratios + findings.differences:
        print(found.line(), flush=True)


def check(scale: Scale) -> None:
    """Refuse what no benchmark can do.

    Raises:
        InputError: an entry is below 1 (below 0, for rounds of warm-up).
    """
    for key, value in scale.items():
        least = 0 if key == "warmup" else 1
        numbers = [one for one in (value if isinstance(value, tuple | list) else [value]) if not isinstance(one, str)]
        if any(number < least for number in numbers):
            raise InputError(f"--{key.replace('_', '-')} {value}: give {least} or more")


def parser(name: str, measure: Callable[..., Findings], full: Scale) -> argparse.ArgumentParser:
    """--quick, --out, and an option for each key of the scale."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=measure.__doc__)
    made.add_argument("--quick", action="store_true", help="a scale that takes a minute or so, not for publication")
    made.add_argument("--out", type=Path, help="folder of NAME.json and README.md")
    for key, value in full.items():
        many = isinstance(value, tuple)
        kind = type(value[0] if many else value)
        made.add_argument(f"--{key.replace('_', '-')}", type=kind, nargs="+" if many else None, help=f"{value}")
    return made


def write(name: str, findings: Findings, *, scale: Scale, seconds: float, directory: Path) -> None:
    """NAME.json, whole or not at all, and README.md anew from every JSON file beside it."""
    content = {
        "benchmark": name,
        "machine": description(),
        "scale": dict(scale),
        "seconds": round(seconds, 1),
        **dataclasses.asdict(findings),
    }
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / f"{name}.json", json.dumps(content, indent=1))
    write_text(directory / "README.md", table(directory))


def table(directory: Path) -> str:
    """All results of a folder as one Markdown page.

    Raises:
        InputError: a JSON file there is not a benchmark's.
    """
    parts = ["# Benchmarks\n\nMade by `make bench` from the JSON files beside it; docs/speed.md tells how.\n"]
    for path in sorted(directory.glob("*.json")):
        try:
            parts += section(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not what a benchmark writes ({error}); remove it") from None
    return "\n".join(parts)


def section(content: Mapping[str, Any]) -> list[str]:
    """One benchmark: what it ran on, ratios and differences, rows."""
    machine = content["machine"]
    scale = ", ".join(f"{key} {value}" for key, value in content["scale"].items())
    parts = [
        f"## {content['benchmark']}\n\n{machine['cpu']}, {machine['threads']} threads, torch {machine['torch']}, "
        f"revision {machine['commit']}; {scale}; {content['seconds']:.0f} s in all.\n"
    ]
    for kind in ("ratio", "difference"):
        if statements := content[f"{kind}s"]:
            parts.append(statement_table(kind, statements))
    return [*parts, row_table(content["rows"])]


def statement_table(kind: str, statements: list[dict[str, Any]]) -> str:
    lines = [f"| {kind} | value | 95% interval |", "| --- | ---: | ---: |"]
    for one in statements:
        interval = between(one["ci95"]) if one["ci95"] else ""
        lines.append(f"| {one['what']} | {significant(one['value'], 4)} | {interval} |")
    return "\n".join(lines) + "\n"


def between(interval: Sequence[float]) -> str:
    return " to ".join(significant(end, 4) for end in interval)


def row_table(rows: list[Row]) -> str:
    """One column for each key that any row has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    words = [all(isinstance(row.get(key, ""), str) for row in rows) for key in columns]
    lines = [
        "| " + " | ".join(key.replace("_", " ") for key in columns) + " |",
        "| " + " | ".join("---" if word else "---:" for word in words) + " |",
    ]
    for row in rows:
        lines.append("| " + " | ".join(cell(row.get(key, "")) for key in columns) + " |")
    return "\n".join(lines) + "\n"


def cell(value: str | float | int) -> str:
    return value if isinstance(value, str) else significant(value)


def significant(value: float, digits: int = 3) -> str:
    """A few significant digits, whole numbers whole."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"
