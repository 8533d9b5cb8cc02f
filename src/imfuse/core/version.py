"""The version of the library, from the metadata of the installed package: ``pyproject.toml`` alone states it."""

from __future__ import annotations

from importlib.metadata import version

__version__ = VERSION = version("imfuse")
