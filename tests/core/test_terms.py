"""Terms of data are written once, and every entry of weights that ships names data whose terms are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from imfuse.cli.main import main
from imfuse.core.registry import get_spec, list_models
from imfuse.core.spec import WeightsSpec
from imfuse.core.terms import NOT_KNOWN, TERMS, terms_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"
SHIPPED = [(name, entry) for name in list_models() for entry in get_spec(name).weights]


@pytest.mark.parametrize(("name", "entry"), SHIPPED, ids=lambda one: getattr(one, "name", one))
def test_terms_of_every_entry_are_shown(name: str, entry: WeightsSpec, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.terms != NOT_KNOWN
    assert main(["models", name]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"terms of its data: {entry.terms}" in shown


def test_the_page_has_the_same_terms() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, terms in TERMS.items():
        assert f"| {name} | {terms} |" in text


def test_data_that_began_the_weights_count_too() -> None:
    assert "FLIR" in get_spec("refinefuse").find_weights("medical").terms


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("roadscene, msrs_train_128", ["RoadScene", "MSRS"]),
        ("90 frames of M2VD and 120 rendered scenes", ["M2VD", "rendered scenes"]),
        ("video", []),  # of whom is not said
        ("technology", []),  # has the letters of TNO
    ],
)
def test_data_sets_are_found_by_their_names(data: str, names: list[str]) -> None:
    assert terms_of(data) == ("; ".join(f"{name}: {TERMS[name]}" for name in names) or NOT_KNOWN)
