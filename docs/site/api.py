"""Pages of the API, from the docstrings in src/: read, not imported (griffe)."""

import logging
import re

import griffe

from docs.site.project import ROOT, source_link

WIDTH = 88
EXAMPLE = ">>>"
MARKUP = re.compile(r"([*_\[\]])")
CODE = re.compile(r"(`+[^`]*`+)")
PACKAGES = {
    "segue": "what `import segue` offers",
    "anatomy": "partitions, structures and measurements",
    "causal": "the graph of variables, scalar mechanisms, requests",
    "cohort": "folders, stores, grids and files of images",
    "engine": "models, answers, verdicts, effects",
    "mechanisms": "image mechanisms, and what wraps them",
    "nets": "networks",
    "training": "objectives, guides, the loop",
    "evaluation": "numbers of a method",
    "baselines": "methods that are no mechanism",
    "phantom": "the simulated artery and its true counterfactuals",
    "straightening": "vessels along their centreline",
    "bridges": "MONAI, TorchIO",
    "leaderboard": "the phantom as a benchmark",
    "readers": "reader studies",
    "study": "the settings of a study",
    "report": "tables and figures",
    "pipeline": "stages of a study",
    "hub": "models that travel",
    "generation": "whole cohorts",
}


def api_pages() -> dict[str, str]:
    """The pages by name; a name of a module is public if `__all__` has it, or if its docstring has an example."""
    logging.getLogger("griffe").setLevel(logging.ERROR)
    package = griffe.load("segue", search_paths=[ROOT / "src"], docstring_parser="google", resolve_aliases=True)
    pages = {name: page_of(package if name == "segue" else package[name], name) for name in PACKAGES}
    lines = [f"- [{module_name(name)}]({name}.md): {text}" for name, text in PACKAGES.items()]
    head = "# API reference\n\nFrom the docstrings. Every example is run by the tests; `source` leads to the code.\n\n"
    return {"index": head + "\n".join(lines) + "\n", **pages}


def module_name(name: str) -> str:
    return "segue" if name == "segue" else f"segue.{name}"


def page_of(package: griffe.Object, name: str) -> str:
    """The page of a package, module by module."""
    parts = [f"# {module_name(name)}", prose(package)]
    modules = [package] if name == "segue" else modules_in(package)
    for module in modules:
        if found := offered(module):
            if module is not package:
                parts += [f"## {module.path}", prose(module)]
            parts += [described(one, "###" if module is not package else "##") for one in found]
    return "\n\n".join(filter(None, parts)) + "\n"


def modules_in(package: griffe.Object) -> list[griffe.Object]:
    """A package, and the modules below it."""
    inner = [one for one in package.members.values() if not one.is_alias and one.is_module]
    return [package, *(found for one in sorted(inner, key=lambda one: one.path) for found in modules_in(one))]


def offered(module: griffe.Object) -> list[griffe.Object]:
    """The public functions and classes of a module; those of segue itself, wherever they are defined."""
    if module.path == "segue":
        names = [str(one) for one in module.exports or []]
        found = [module.members[name] for name in names]
        return [one.final_target if one.is_alias else one for one in found]
    own = [one for one in module.members.values() if not one.is_alias and (one.is_function or one.is_class)]
    listed = None if module.exports is None else {str(one) for one in module.exports}
    shown = (lambda one: one.name in listed) if listed is not None else has_example
    return [one for one in own if shown(one) and not one.name.startswith("_")]


def has_example(one: griffe.Object) -> bool:
    return one.docstring is not None and EXAMPLE in one.docstring.value


def described(one: griffe.Object, level: str) -> str:
    """A function or a class: signature, docstring, source, and the methods of a class."""
    parts = [f"{level} {one.name}", f"```python\n{signature(one)}\n```", prose(one), source(one)]
    if one.is_class:
        methods = [m for m in one.members.values() if not m.is_alias and m.is_function and not m.name.startswith("_")]
        parts += [f"**`{signature(m)}`**\n\n{prose(m)}" for m in methods if m.docstring]
    return "\n\n".join(filter(None, parts))


def source(one: griffe.Object) -> str:
    """The link to where it is defined."""
    path = one.filepath.relative_to(ROOT)  # type: ignore[union-attr]
    return f"[source: {path}, line {one.lineno}]({source_link(path, one.lineno)})"


def signature(one: griffe.Object) -> str:
    """How it is called; on one line, or one parameter a line."""
    parameters = [p for p in getattr(one, "parameters", []) if p.name not in ("self", "cls")]
    texts, keywords = [], False
    for p in parameters:
        if p.kind is griffe.ParameterKind.keyword_only and not keywords:
            texts, keywords = [*texts, "*"], True
        texts.append(parameter(p))
        keywords = keywords or p.kind is griffe.ParameterKind.var_positional
    returned = getattr(one, "returns", None)
    end = f" -> {returned}" if one.is_function and returned is not None else ""
    if one.is_class and not texts:
        return f"class {one.name}"
    head = f"class {one.name}" if one.is_class else one.name
    line = f"{head}({', '.join(texts)}){end}"
    if len(line) <= WIDTH or (not one.is_class and one.parent is not None and one.parent.is_class):
        return line
    return f"{head}(\n    " + ",\n    ".join(texts) + f",\n){end}"


def parameter(p: griffe.Parameter) -> str:
    """A parameter with its annotation and its default."""
    stars = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(p.kind, "")
    annotation = f": {p.annotation}" if p.annotation is not None else ""
    if p.default is None or stars:
        return f"{stars}{p.name}{annotation}"
    return f"{p.name}{annotation}{' = ' if annotation else '='}{p.default}"


def prose(one: griffe.Object) -> str:
    """A docstring as Markdown."""
    if one.docstring is None:
        return ""
    return "\n\n".join(filter(None, map(section, one.docstring.parsed)))


def section(part: griffe.DocstringSection) -> str:
    """A part of a docstring."""
    if part.kind is griffe.DocstringSectionKind.text:
        return paragraphs(part.value)
    if part.kind is griffe.DocstringSectionKind.raises:
        return listing("Raises", [(str(one.annotation), one.description) for one in part.value])
    if part.kind in (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes):
        title = "Args" if part.kind is griffe.DocstringSectionKind.parameters else "Attributes"
        return listing(title, [(one.name, one.description) for one in part.value])
    if part.kind in (griffe.DocstringSectionKind.returns, griffe.DocstringSectionKind.yields):
        return listing("Returns", [("", one.description) for one in part.value])
    return paragraphs(str(getattr(part.value, "contents", part.value)))


def listing(title: str, entries: list[tuple[str, str]]) -> str:
    said = [(f"`{name}`: " if name else "", escaped(" ".join(text.split()))) for name, text in entries]
    lines = [f"- {name}{text}" for name, text in said]
    return f"*{title}:*\n\n" + "\n".join(lines)


def paragraphs(text: str) -> str:
    """Plain text as Markdown: examples as code, indented lines as they are, and no accidental markup."""
    return "\n\n".join(map(paragraph, re.split(r"\n\s*\n", text)))


def paragraph(text: str) -> str:
    if text.lstrip().startswith(EXAMPLE):
        return f"```pycon\n{text}\n```"
    return text if text.startswith(" " * 4) else escaped(text)


def escaped(text: str) -> str:
    """Text outside of backticks, in which nothing is markup."""
    parts = CODE.split(text)
    return "".join(part if i % 2 else MARKUP.sub(r"\\\1", part).replace("<", "&lt;") for i, part in enumerate(parts))
