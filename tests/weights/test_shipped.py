"""Every entry of weights that ships: what the checks find in it, and what its header says."""

from __future__ import annotations

import re

import pytest

from imfuse.benchmark import check_weights
from imfuse.core.files import file_hash
from imfuse.core.registry import get_spec, list_models
from imfuse.core.spec import WeightsSpec
from imfuse.core.terms import NOT_KNOWN, terms_of
from imfuse.core.weights import read_header

ENTRIES = {f"{name} {entry.name}": (name, entry) for name in list_models() for entry in get_spec(name).weights}

FAILURES = {
    "auif paper": "between dim noise identity",
    "didfuse paper": "even between dim noise identity",
    "lrrnet default": "white between veil bright noise identity",
    "sdnet default": "frame black white even between veil bright noise identity",
    "seafusion default": "frame black white even between veil bright identity",
    "u2fusion default": "black white between veil bright identity",
}
"""Checks that entries are known to fail; those that are not here pass all. A check that is mended leaves this table."""
SLOW = {"mdlatlrr default"}
"""More than a minute of processor time: `imfuse benchmark check-weights` runs them."""
PATHS = re.compile(r"(?:/(?:root|home|work|tmp|Users|mnt|data)/|[A-Za-z]:\\)")
"""Folders of somebody's machine."""
KNOWN_PATHS: dict[str, set[str]] = {}
"""Entries of headers that have such a folder; a later training takes them away."""


@pytest.mark.parametrize("entry", [name for name in ENTRIES if name not in SLOW])
def test_checks_find_what_is_known(entry: str) -> None:
    name, spec = ENTRIES[entry]
    found = check_weights(name, spec.name, device="cpu")
    assert {check.name for check in found if not check.passed} == set(FAILURES.get(entry, "").split())


def test_only_entries_that_ship_are_known_to_fail() -> None:
    assert {*FAILURES, *SLOW, *KNOWN_PATHS} <= ENTRIES.keys()


@pytest.mark.parametrize("entry", ENTRIES)
def test_header_says_where_the_weights_come_from(entry: str) -> None:
    name, spec = ENTRIES[entry]
    header = read_header(spec.path)
    assert file_hash(spec.path) == spec.sha256
    assert {"model", "recipe", "data", "pairs", "steps", "date", "licence", "imfuse", "torch"} <= header.keys()
    assert (header["model"], header["date"], header["licence"]) == (name, spec.date, spec.licence)
    assert {key for key, value in header.items() if PATHS.search(value)} == KNOWN_PATHS.get(entry, set())


@pytest.mark.parametrize("entry", ENTRIES)
def test_terms_of_the_data_are_known(entry: str) -> None:
    spec: WeightsSpec = ENTRIES[entry][1]
    header = read_header(spec.path)
    assert terms_of(header["data"]) != NOT_KNOWN
    # Files of before this entry of the header existed have the data alone.
    assert header.get("terms", spec.terms) == spec.terms
