"""YAML as its version 1.2 defines it (core schema): one reader, and one writer, for studies, ablations and plans.

PyYAML reads YAML 1.1, in which `no` is false, `010` is 8, `1e-3` is text, and the last of two equal keys wins. Here
only `true` and `false` are booleans, `010` is ten, `1e-3` is a number, two equal keys are refused with their line, and
every key is text as it is written: a structure may be called `no`, and a code `01`.
"""

import itertools
import math
import re
from pathlib import Path
from typing import Any

import yaml

from segue.errors import InputError
from segue.text import one_line, shortened

BOOL, NULL = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"
INT, FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
MERGE = "tag:yaml.org,2002:merge"  # `<<: *anchor`, which is no part of the schema, but is in use
DEEPEST, MOST_VALUES, LONGEST_NUMBER, LONGEST_TEXT_OF_YAML = 40, 100_000, 100, 1_000_000
"""Levels, values once anchors are followed, characters of a whole number, and characters in all."""
CORE_SCHEMA = (
    (BOOL, r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (NULL, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (INT, r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (FLOAT, r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    (FLOAT, r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    (MERGE, r"<<", "<"),
)
"""Tag, pattern and first characters of what is no text (YAML 1.2.2, section 10.3.2)."""


class CoreLoader(yaml.SafeLoader):
    """The reader of the core schema.

    >>> yaml.load("{no: 010, rate: 1e-3}", CoreLoader)
    {'no': 10, 'rate': 0.001}
    """

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.depth, self.sizes = 0, dict[int, int]()

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse what is nested too deeply, and anchors by which a short text says very much."""
        line, self.depth = self.peek_event().start_mark.line + 1, self.depth + 1
        if self.depth > DEEPEST:
            raise InputError(f"line {line}: is nested more than {DEEPEST} levels deep; write it flatter")
        node = super().compose_node(parent, index)
        self.depth -= 1
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        inner = itertools.chain.from_iterable(inner) if isinstance(node, yaml.MappingNode) else inner
        size = self.sizes[id(node)] = 1 + sum(self.sizes.get(id(one), 1) for one in inner)
        if size > MOST_VALUES:
            raise InputError(f"line {line}: says more than {MOST_VALUES:,} values, anchors included; say less")
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Keys are text as it is written; two equal ones are refused with their line."""
        if not isinstance(node, yaml.MappingNode):
            raise yaml.constructor.ConstructorError(None, None, "expected a mapping", node.start_mark)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise InputError(f"line {key.start_mark.line + 1}: a key is a {key.id}; give a name")
            if key.value in lines:
                first, second = lines[key.value], key.start_mark.line + 1
                raise InputError(f"line {second}: {key.value} is given already in line {first}; keep one of them")
            lines[key.value] = key.start_mark.line + 1
        self.flatten_mapping(node)  # what `<<` names comes first
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}

    def whole_mapping(self, node: Any) -> dict[str, Any]:
        """At once: a mapping that holds itself is refused."""
        return self.construct_mapping(node, deep=True)

    def whole_list(self, node: Any) -> list[Any]:
        """At once: a list that holds itself is refused."""
        return self.construct_sequence(node, deep=True)

    def construct_yaml_int(self, node: Any) -> int:
        """`0o17` is octal, `0x1F` hexadecimal, and everything else decimal."""
        text = str(self.construct_scalar(node))
        if len(text) > LONGEST_NUMBER:
            line = node.start_mark.line + 1
            raise InputError(f"line {line}: a number of {len(text):,} digits; give {LONGEST_NUMBER} at most")
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)

    def construct_yaml_float(self, node: Any) -> float:
        text = str(self.construct_scalar(node)).lower()
        if text.endswith((".inf", ".nan")):
            return math.nan if text.endswith("n") else math.copysign(math.inf, -1 if text[0] == "-" else 1)
        return float(text)


class CoreDumper(yaml.SafeDumper):
    """The writer: text that YAML 1.1 or 1.2 would take for something else is quoted.

    >>> yaml.dump({"no": "0o17"}, Dumper=CoreDumper).strip()
    "'no': '0o17'"
    """


for tag, pattern, first in CORE_SCHEMA:
    CoreLoader.add_implicit_resolver(tag, re.compile(f"^(?:{pattern})$"), list(first))
    CoreDumper.add_implicit_resolver(tag, re.compile(f"^(?:{pattern})$"), list(first))
CoreLoader.add_constructor("tag:yaml.org,2002:map", CoreLoader.whole_mapping)
CoreLoader.add_constructor("tag:yaml.org,2002:seq", CoreLoader.whole_list)
CoreLoader.add_constructor(INT, CoreLoader.construct_yaml_int)
CoreLoader.add_constructor(FLOAT, CoreLoader.construct_yaml_float)


def load_yaml(text: str) -> Any:
    """What a YAML text says.

    Raises:
        InputError: it is not YAML, or gives a key twice; the message names the line.

    >>> load_yaml("{heart: 010, no: [on, off]}")
    {'heart': 10, 'no': ['on', 'off']}
    >>> load_yaml("{heart: 1, heart: 2}")
    Traceback (most recent call last):
    segue.errors.InputError: line 1: heart is given already in line 1; keep one of them
    """
    if len(text) > LONGEST_TEXT_OF_YAML:
        raise InputError(f"has more than {LONGEST_TEXT_OF_YAML:,} characters; say less")
    try:
        return yaml.load(text, CoreLoader)
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"not a YAML file: {shortened(one_line(error), most=300)}") from None


def read_yaml(path: Path) -> Any:
    """What a YAML file says.

    Raises:
        InputError: as `load_yaml`, with the file's name.

    >>> read_yaml(Path("studies/coronary-phantom.yaml"))["name"]
    'coronary-phantom'
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            return load_yaml(stream.read(LONGEST_TEXT_OF_YAML + 1))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: not a YAML file: {one_line(error)}") from None


def dump_yaml(content: Any, *, flow: bool = False) -> str:
    """A tree of mappings, lists and values as YAML that `load_yaml` reads back as it was, in the same order.

    Args:
        flow: on one line, as far as text allows.

    >>> load_yaml(dump_yaml({"no": "010", "rate": 1e-3})) == {"no": "010", "rate": 1e-3}
    True
    """
    width = math.inf if flow else 80
    return yaml.dump(content, Dumper=CoreDumper, sort_keys=False, default_flow_style=flow, width=width)
