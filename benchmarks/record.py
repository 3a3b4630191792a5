"""What a benchmark found: lines in plain words, NAME.json, and the one table made from all JSON files of a folder."""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, description
from segue.errors import InputError
from segue.stages.common import write_text

RESULTS = ROOT / "results" / "benchmarks"
Scale = Mapping[str, Any]
Row = dict[str, str | float | int]


@dataclass(frozen=True)
class Ratio:
    """One quantity over another of the same run, `what` saying which; `ci95` where there are rounds to draw from."""

    what: str
    ratio: float
    ci95: tuple[float, float] | None = None

    def line(self) -> str:
        """In plain words."""
        interval = f" (95% {significant(self.ci95[0])} to {significant(self.ci95[1])})" if self.ci95 else ""
        return f"{self.what}: {significant(self.ratio)}{interval}"


@dataclass(frozen=True)
class Findings:
    """Rows of a table, and the ratios that say what they mean."""

    rows: list[Row]
    ratios: list[Ratio]


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
        findings = measure(**scale)
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    write(name, findings, scale=scale, seconds=time.perf_counter() - began, directory=directory)
    for found in findings.ratios:
        print(found.line(), flush=True)


def check(scale: Scale) -> None:
    """Refuse what no benchmark can do.

    Raises:
        InputError: an entry is below 1 (below 0, for rounds of warm-up).
    """
    for key, value in scale.items():
        least = 0 if key == "warmup" else 1
        if min(value if isinstance(value, tuple | list) else (value,)) < least:
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
    """All results of a folder as one Markdown page."""
    parts = ["# Benchmarks\n\nMade by `make bench` from the JSON files beside it; docs/speed.md tells how.\n"]
    for path in sorted(directory.glob("*.json")):
        content = json.loads(path.read_text())
        machine, scale = content["machine"], content["scale"]
        told = ", ".join(f"{key} {value}" for key, value in scale.items())
        parts.append(
            f"## {content['benchmark']}\n\n{machine['cpu']}, {machine['threads']} threads, torch {machine['torch']}, "
            f"revision {machine['commit']}; {told}; {content['seconds']:.0f} s in all.\n"
        )
        parts.append(ratio_table(content["ratios"]))
        parts.append(row_table(content["rows"]))
    return "\n".join(part for part in parts if part)


def ratio_table(ratios: list[dict[str, Any]]) -> str:
    lines = ["| ratio | value | 95% interval |", "| --- | ---: | ---: |"]
    for one in ratios:
        interval = " to ".join(significant(end) for end in one["ci95"]) if one["ci95"] else ""
        lines.append(f"| {one['what']} | {significant(one['ratio'])} | {interval} |")
    return "\n".join(lines) + "\n"


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


def significant(value: float) -> str:
    """Three significant digits, whole numbers whole."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
