"""How long what others wrote may be: names, texts, collections. Larger ones are refused before anybody shows them."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

_LARGEST_SCORE = 1e100
"""Sums of squares of many such numbers are still numbers."""


def _no_longer_than(most: int) -> AfterValidator:
    def check(text: str) -> str:
        # Not by Field(max_length=...): names of files may be no text, which its check does not take.
        if len(text) > most:
            raise ValueError(f"{len(text)} characters found, at most {most} are read")
        return text

    return AfterValidator(check)


def at_most(most: int, least: int = 0) -> BeforeValidator:
    """How many entries a collection may have, checked before they are."""

    def check(found: Any) -> Any:
        if isinstance(found, (dict, list, tuple)) and not least <= len(found) <= most:
            raise ValueError(f"{len(found)} entries found, {least} to {most} are expected")
        return found

    return BeforeValidator(check)


Name: TypeAlias = Annotated[str, _no_longer_than(1024)]
"""Of a method, a data set, a pair, which may lie some folders deep."""
File: TypeAlias = Annotated[str, _no_longer_than(4096)]
"""A path, or an address."""
LONGEST_TEXT = 1 << 16
Text: TypeAlias = Annotated[str, _no_longer_than(LONGEST_TEXT)]
"""Words, such as a recipe in the header of weights."""
Score: TypeAlias = Annotated[float, Field(allow_inf_nan=False, ge=-_LARGEST_SCORE, le=_LARGEST_SCORE)]
