"""Packages list their public modules, and import one when it is first used."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ["classical", "inference", "layers", "losses", "ops"]


@pytest.mark.parametrize("name", PACKAGES)
def test_package_lists_its_modules(name: str) -> None:
    package = importlib.import_module(f"imfuse.{name}")
    files = {path.stem for path in Path(package.__path__[0]).glob("*.py")}
    public = sorted(stem for stem in files if not stem.startswith("_"))
    assert public
    # Names with capitals are classes.
    assert [listed for listed in dir(package) if listed.islower()] == public
    assert all(getattr(package, module).__name__ == f"imfuse.{name}.{module}" for module in public)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018


@pytest.mark.parametrize("name", PACKAGES)
def test_listing_needs_no_torch(name: str) -> None:
    code = f"import sys, imfuse.{name} as package; dir(package); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_module_is_imported_when_it_is_first_used() -> None:
    code = "import imfuse.ops; print(imfuse.ops.windows.box(2).tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0.5, 0.5]"
