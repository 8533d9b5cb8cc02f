"""Every import points down, those inside functions and those for types alone included."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
LAYERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
Graph = dict[str, set[str]]


def modules(source: Path) -> dict[str, Path]:
    """Dotted name of each module of a package -> its file."""
    found = {}
    for path in sorted((source / "imfuse").rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{origin}.{alias.name}" if f"{origin}.{alias.name}" in known else origin


def graph(known: dict[str, Path]) -> Graph:
    """Module -> the modules of the package that it imports anywhere, but for the packages that it lies in."""
    return {
        name: {
            other
            for other in imported(name, path, known)
            if other in known
            and other != name
            and not (known[other].name == "__init__.py" and name.startswith(f"{other}."))
        }
        for name, path in known.items()
    }


def circles(edges: Graph) -> list[tuple[str, ...]]:
    """Every import that leads back to where it came from, as the modules of the shortest way round."""
    found = []
    for start in edges:
        ways, seen = [(start,)], {start}
        while ways:
            way = ways.pop(0)
            for other in sorted(edges[way[-1]]):
                if other == start:
                    found.append(way)
                    ways = []
                    break
                if other not in seen:
                    seen.add(other)
                    ways.append((*way, other))
    return found


def layer_of(name: str) -> tuple[int, str] | None:
    """Number of a module's layer from the top, and the part of it that the module belongs to."""
    for number, line in enumerate(LAYERS):
        for part in re.split(r"[|:]", line):
            if f"{name}.".startswith(f"{part.strip(' ()')}."):
                return number, part.strip(" ()")
    return None


def upward(edges: Graph, known: dict[str, Path]) -> list[str]:
    """A line on each import of a layer above, or of a neighbour that "|" parts."""
    wrong = []
    for name, others in edges.items():
        here = layer_of(name)
        for other in sorted(others):
            there = layer_of(other)
            if here is None or there is None:
                continue
            beside = here[0] == there[0] and here[1] != there[1] and "|" in LAYERS[here[0]]
            if here[0] > there[0] or beside:
                wrong.append(f"{known[name]} imports {known[other]} ({name} -> {other})")
    return wrong


def test_no_import_circles() -> None:
    found = circles(graph(modules(ROOT / "src")))
    assert not found, "\n".join(" -> ".join((*way, way[0])) for way in found)


def test_no_import_of_a_layer_above() -> None:
    known = modules(ROOT / "src")
    assert not upward(graph(known), known)


def test_every_module_has_a_layer() -> None:
    known = modules(ROOT / "src")
    assert [name for name in known if layer_of(name) is None] == ["imfuse"], "the package alone has none"
    assert [path.name for path in (ROOT / "src" / "imfuse").glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize(
    "code",
    [
        "import imfuse.cli.main",
        "def f():\n    from imfuse.cli import main",
        "if TYPE_CHECKING:\n    from ..cli import main",
    ],
)
def test_wrong_imports_are_seen(tmp_path: Path, code: str) -> None:
    for name, text in (("cli/main.py", "from imfuse.core import spec"), ("core/spec.py", code)):
        path = tmp_path / "imfuse" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        (path.parent / "__init__.py").touch()
    known = modules(tmp_path)
    assert [line.split(" (")[1] for line in upward(graph(known), known)] == ["imfuse.core.spec -> imfuse.cli.main)"]
    assert ("imfuse.core.spec", "imfuse.cli.main") in circles(graph(known))
