"""What the package offers is what it says it offers."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import nnkit
from nnkit import errors

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "nnkit").rglob("*.py"))
LONG, TOO_LONG = 400, 420


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PUBLIC = [
    name for name in map(module_name, FILES) if not any(p.startswith("_") for p in name.split("."))
]
every_module = pytest.mark.parametrize("name", PUBLIC)
every_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))


def listed(module: ModuleType) -> list[str]:
    assert hasattr(module, "__all__"), f"{module.__name__} has no __all__."
    return list(module.__all__)


def in_order(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Constants, then classes, then functions, as ruff sorts them; numbers by their value."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2
    parts = re.findall(r"\d+|\D+", name)
    return kind, [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def definitions(path: Path) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """The public classes and functions that a file defines, each once."""
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or node.name.startswith("_"):
            continue
        if not any("overload" in ast.unparse(mark) for mark in node.decorator_list):
            yield node


@every_module
def test_listed_names_exist(name: str) -> None:
    module = importlib.import_module(name)
    absent = [item for item in listed(module) if not hasattr(module, item)]
    assert not absent, f"{name}.__all__ lists what is not there: {absent}"


@every_module
def test_lists_are_sorted_and_without_repeats(name: str) -> None:
    names = listed(importlib.import_module(name))
    assert names == sorted(names, key=in_order)
    assert len(names) == len(set(names))


@every_file
def test_definitions_are_listed_and_described(path: Path) -> None:
    names = listed(importlib.import_module(module_name(path)))
    nodes = list(definitions(path))
    unlisted = [node.name for node in nodes if node.name not in names]
    assert not unlisted, f"Not in __all__ (or name them with an underscore): {unlisted}"
    silent = [node.name for node in nodes if not ast.get_docstring(node)]
    assert not silent, f"No docstring: {silent}"


@every_file
def test_module_is_described(path: Path) -> None:
    source = path.read_text()
    assert not source or ast.get_docstring(ast.parse(source))


@every_file
def test_no_assert_and_no_star_import(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Assert), (
            f"{path}:{node.lineno}: python -O leaves an assert out; raise an error of nnkit."
        )
        assert not (isinstance(node, ast.ImportFrom) and node.names[0].name == "*"), (
            f"{path}:{node.lineno}: import names, not a star."
        )


def test_files_are_short() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in FILES}
    told = [f"{path.relative_to(ROOT)}: {size}" for path, size in sizes.items() if size > LONG]
    print(f"Over {LONG} lines:", *told, sep="\n  ")
    longest = [line for line in told if int(line.rpartition(" ")[2]) > TOO_LONG]
    assert not longest, f"Over {TOO_LONG} lines, split by subject: {longest}"


# -- errors.py draws the tree of what it defines ---------------------------------------------------


def test_the_tree_of_errors_is_the_tree_that_is() -> None:
    drawn = re.findall(r"[├└]── (\w+)\s+\((\w+)\)", errors.__doc__ or "")
    defined = {
        name: [base.__name__ for base in item.__bases__]
        for name, item in vars(errors).items()
        if inspect.isclass(item) and item.__module__ == errors.__name__
    }
    assert defined.pop("NnkitError") == ["Exception"]
    assert {name: ["NnkitError", base] for name, base in drawn} == defined
    assert all(hasattr(builtins, base) for _, base in drawn)


# -- the documents promise only what is there ------------------------------------------------------


def promised() -> list[tuple[str, str]]:
    """Each name of nnkit that stands in the documents' code, with where it stands."""
    found = []
    for path in [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]:
        text = path.read_text()
        blocks = re.findall(r"^```py[a-z]*\n(.*?)^```", text, flags=re.M | re.S)
        spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
        for code in [*blocks, *spans]:
            names = re.findall(r"(?<![\w./@-])nnkit((?:\.[A-Za-z_]\w*)+)", code)
            for module, group, line in re.findall(
                r"from nnkit((?:\.\w+)*) import (?:\(([^)]*)\)|(.*))", code
            ):
                items = re.sub(r"#.*", "", group or line).replace("\n", " ").split(",")
                names += [f"{module}.{item.split(' as ')[0].strip()}" for item in items]
            found += [(name.strip("."), str(path.relative_to(ROOT))) for name in names]
    return sorted({(name, where) for name, where in found if name})


def test_the_documents_promise_what_is_there() -> None:
    offered = {*listed(nnkit), *(name.split(".")[1] for name in PUBLIC if "." in name)}
    wrong = []
    for name, where in promised():
        try:
            pkgutil.resolve_name(f"nnkit.{name}")
            there = name.partition(".")[0] in offered
        except (AttributeError, ImportError):
            there = False
        if not there:
            wrong.append(f"{where} has nnkit.{name}")
    assert not wrong, "Named in the documents but not offered:\n" + "\n".join(wrong)


def test_the_documents_name_something() -> None:
    assert ("Sequential", "README.md") in promised()
