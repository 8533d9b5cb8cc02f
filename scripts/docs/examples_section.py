"""Extension for the reference pages: the section ``Example:`` of a docstring is shown as code, as ``Examples:`` is.

``mkdocs.yml`` names this file. Griffe, which reads docstrings for mkdocstrings, takes the singular for an admonition
and shows a doctest in it as a quotation.
"""

from __future__ import annotations

import re
from typing import Any

import griffe


class ExamplesSection(griffe.Extension):
    """Renames the section before the docstring is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
