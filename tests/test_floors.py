"""The package is a house: a file imports only from the floors below its own.

The arrows are read from the source, so that code nobody runs is checked too. When this fails, move
what is shared down a floor, rather than the import into a function.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parent.parent / "nnkit"

FLOORS: list[set[str]] = [
    {"errors"},
    {
        "tree",
        "shapes",
        "arguments",
        "dtypes",
        "naming",
        "registry",
        "activations",
        "initializers",
        "regularizers",
    }
    | {
        "constraints",
        "random",
        "variable",
        "layouts",
        "config",
        "convert",
        "modes",
        "dtype_policies",
        "creation",
        "legacy",
        "input_spec",
        "custom_objects",
        "serialization",
    },
    {"symbolic", "tracing"},
    {
        "graph",
        "weights",
        "added_losses",
        "own_files",
        "precision",
        "masks",
        "probing",
        "conventions",
        "layer_config",
        "layer",
        "wrapper",
    },
    {"layers", "losses", "metrics", "optimizers", "data", "callbacks", "ops"},
    {"training", "summary", "saving"},
    {"models"},
    {"applications", "explain", "transfer", "datasets", "utils", "backend", "testing"}
    | {"mixed_precision", "preprocessing", "wrappers"},
    {"compat", "cli", "__main__"},
]
TOP = len(FLOORS)  # nnkit/__init__.py, the face
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}

# The arrows that may run sideways, besides those inside floor 1.
SIDEWAYS = {
    ("weights", "precision"),
    ("layer", "precision"),
    ("probing", "weights"),
    ("conventions", "weights"),
    ("layer", "conventions"),
    ("layer", "layer_config"),
    ("layer_config", "conventions"),
    ("layer", "masks"),
    ("layer", "probing"),
    ("layer", "added_losses"),
    ("added_losses", "probing"),
    ("added_losses", "weights"),
    ("own_files", "weights"),
    ("layer", "own_files"),
    ("wrapper", "layer"),
    ("wrapper", "layer_config"),
    ("graph", "wrapper"),
    ("metrics", "losses"),
    ("layers", "ops"),
    ("ops", "losses"),
    ("training", "saving"),
    ("datasets", "utils"),
    ("cli", "compat"),
    ("__main__", "cli"),
    ("preprocessing", "utils"),
    ("applications", "utils"),
    ("transfer", "applications"),
    ("backend", "utils"),
    ("wrappers", "utils"),
}

# What may be loaded by name when it is first used, since it brings in a slow package.
LATE = {
    ("nnkit.wrappers", "nnkit.wrappers.estimators"),
    ("nnkit.saving.weights", "nnkit.saving.keras_weights"),
    ("nnkit.saving.weights", "nnkit.saving.legacy_weights"),
    ("nnkit.saving.whole_models", "nnkit.saving.archive"),
    ("nnkit.saving.whole_models", "nnkit.saving.legacy_model"),
    ("nnkit.saving.weights", "nnkit.saving.archive"),
    ("nnkit.saving.weights", "nnkit.saving.model_parts"),
}

SLOW = ("torchvision", "h5py", "matplotlib", "sympy", "pandas", "torch._dynamo")


class Arrow(NamedTuple):
    """One import: from a module, to a module or a name of the face; when and where it is made."""

    start: str
    end: str
    line: int
    inside: bool = False
    late: bool = False

    def __str__(self) -> str:
        return f"{self.start} -> {self.end} (line {self.line})"


def module_names() -> dict[str, Path]:
    """All modules of the package and their files."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = module_names()


def arrows_of(module: str, source: str) -> Iterator[Arrow]:
    """The imports of nnkit's modules in a source."""

    def walk(node: ast.AST, inside: bool) -> Iterator[Arrow]:
        for child in ast.iter_child_nodes(node):
            yield from ends(child, inside)
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from walk(child, inside or function)

    def ends(node: ast.AST, inside: bool) -> Iterator[Arrow]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "nnkit":
                    yield Arrow(module, alias.name, node.lineno, inside)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield Arrow(module, "." * node.level + (node.module or ""), node.lineno, inside)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nnkit":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                end = whole if whole in MODULES or node.module == "nnkit" else str(node.module)
                yield Arrow(module, end, node.lineno, inside)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).rpartition(".")[2]
            name = node.args[0].value
            if called in ("import_module", "__import__") and str(name).startswith("nnkit"):
                yield Arrow(module, str(name), node.lineno, inside, late=True)

    return walk(ast.parse(source), False)


def place(module: str) -> str:
    """The part of the house: "layers" for nnkit.layers.core, "" for the face."""
    return module.partition(".")[2].partition(".")[0]


def complaint(arrow: Arrow) -> str | None:
    """What is wrong with an arrow, and what to do."""
    if arrow.end.startswith("."):
        return f"{arrow}: write the import out, from nnkit...."
    if arrow.late:
        known = (arrow.start, arrow.end) in LATE
        return None if known else f"{arrow}: loaded by name, which hides the arrow."
    if arrow.inside:
        return f"{arrow}: imported inside a function. Import it at the top of the file."
    start, end = place(arrow.start), place(arrow.end)
    if end not in FLOOR_OF:
        return f"{arrow}: the face. Import from the module that defines it."
    if start == end:
        return None
    here, there = FLOOR_OF.get(start, TOP), FLOOR_OF[end]
    if there > here:
        return f"{arrow}: runs upward, from floor {here} to floor {there}."
    if there == here and here != 1 and (start, end) not in SIDEWAYS:
        return f"{arrow}: runs sideways on floor {here}."
    return None


def all_arrows() -> list[Arrow]:
    return [arrow for name, path in MODULES.items() for arrow in arrows_of(name, path.read_text())]


def cycle(arrows: list[Arrow]) -> list[str]:
    """Modules that import one another in a ring, the first one found; empty when there is none."""
    below: dict[str, set[str]] = {}
    for arrow in arrows:
        if not arrow.late and arrow.start != arrow.end:
            below.setdefault(arrow.start, set()).add(arrow.end)
    done: set[str] = set()

    def search(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module not in done:
            for end in sorted(below.get(module, ())):
                if ring := search(end, [*path, module]):
                    return ring
            done.add(module)
        return []

    return next((ring for module in sorted(below) if (ring := search(module, []))), [])


def test_every_part_has_a_floor() -> None:
    parts = {place(name) for name in MODULES} - {""}
    assert parts <= set(FLOOR_OF), f"Give these a floor in {__file__}: {parts - set(FLOOR_OF)}"


def test_arrows_run_downward() -> None:
    wrong = [said for arrow in all_arrows() if (said := complaint(arrow))]
    assert not wrong, "Imports that break the floors:\n" + "\n".join(wrong)


def test_there_is_no_cycle() -> None:
    ring = cycle(all_arrows())
    assert not ring, "Modules import one another in a ring:\n" + " -> ".join(ring)


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("nnkit.shapes", "from nnkit.errors import ShapeError", None),
        ("nnkit.shapes", "from nnkit.tree import flatten", None),
        ("nnkit.shapes", "from nnkit import layer", "upward, from floor 1 to floor 3"),
        ("nnkit.layer", "import nnkit.layers.core", "upward, from floor 3 to floor 4"),
        ("nnkit.layer", "from nnkit.added_losses import LossOwner", None),
        ("nnkit.weights", "from nnkit.layer import Layer", "sideways on floor 3"),
        ("nnkit.losses.base", "from nnkit.losses.checks import check", None),
        ("nnkit.losses.base", "from nnkit import metrics", "sideways on floor 4"),
        ("nnkit.metrics.base", "from nnkit import losses", None),
        ("nnkit.layers.core", "from nnkit import Model", "the face"),
        ("nnkit.layers.core", "import nnkit", "the face"),
        ("nnkit.layers.core", "from .input import Input", "write the import out"),
        ("nnkit.models.model", "def f():\n    from nnkit.tree import flatten", "inside a function"),
        ("nnkit.models.model", "class A:\n    def f(self): import nnkit.tree", "inside a function"),
        ("nnkit.layer", "if TYPE_CHECKING:\n    from nnkit.models import Model", "upward"),
        ("nnkit.models.model", "importlib.import_module('nnkit.utils')", "hides the arrow"),
        ("nnkit.saving.weights", "importlib.import_module('nnkit.saving.keras_weights')", None),
        ("nnkit", "from nnkit import datasets", None),
    ],
)
def test_the_rules(module: str, source: str, said: str | None) -> None:
    [arrow] = arrows_of(module, source)
    told = complaint(arrow)
    assert told is None if said is None else said in str(told)


@pytest.mark.parametrize(
    ("pairs", "ring"),
    [
        (["ab", "bc", "ac"], ""),
        (["ab", "bc", "ca"], "abca"),
        (["ab", "bd", "cd", "db"], "bdb"),
    ],
)
def test_cycles_are_found(pairs: list[str], ring: str) -> None:
    assert cycle([Arrow(start, end, 1) for start, end in pairs]) == list(ring)


def test_import_is_light() -> None:
    """`import nnkit` brings in no slow package that `import torch` does not bring in itself."""
    before, after = (_loaded_by(f"import {name}") for name in ("torch", "nnkit"))
    heavy = sorted(name for name in SLOW if name in after - before)
    assert not heavy, f"import nnkit also imports {', '.join(heavy)}. Import them where used."


def _loaded_by(code: str) -> set[str]:
    """The slow packages among the modules that a fresh interpreter has after running `code`."""
    found = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(found.stdout.split())
