"""What pages say of the repository is true: layers, links between files, targets of the Makefile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
CONTRACT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"][0]
LAYERS = [re.findall(r"imfuse\.(\w+)", line) for line in CONTRACT["layers"]]
OUTSIDE = [
    path for pattern in ("*.md", "*/README.md", "examples/*/*.md", ".github/*.md") for path in ROOT.glob(pattern)
]
"""Pages that ``mkdocs build --strict`` does not check."""
PAGES = [*OUTSIDE, *(ROOT / "docs").rglob("*.md")]


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_architecture_draws_the_layers_that_are_checked() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = re.search(r"```text\n(.*?)```", text, re.DOTALL)[1]
    names = [re.split(r"\s{3,}", line)[0] for line in drawing.splitlines()]
    assert [sorted(re.findall(r"\w+", line)) for line in names] == [sorted(layer) for layer in LAYERS]
    parted = [" | " in line for line in CONTRACT["layers"]]
    assert [" | " in line for line in names] == parted, "a | where packages know nothing of each other"


def test_contributing_lists_the_layers_that_are_checked() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Layers of the package")[2]
    rows = re.findall(r"^\| (`.*?`) \|", section.partition("\n## ")[0], re.MULTILINE)
    assert [sorted(re.findall(r"`(\w+)`", row)) for row in rows] == [sorted(layer) for layer in LAYERS]


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = link.partition("#")
        if re.match(r"https?:|mailto:", link):
            continue
        target = page.parent / place if place else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_make_has_the_targets_that_pages_name(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line in re.findall(r"(?:^|`)make((?: [A-Z]+=\S+)*(?: [a-z]+)+)(?=`|\s*$|  +#)", text, re.MULTILINE):
        named = {word for word in line.split() if "=" not in word}
        assert named <= targets, f"{page.name}: make{line}"
