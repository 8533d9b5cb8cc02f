from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imfuse.imaging import write_image


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder with ir/, vi/ (in colour) and external results, dark/ and bright/; three pairs of 48x64 pixels."""
    random = np.random.default_rng(0)
    for name in ("1", "2", "10"):
        write_image(tmp_path / "set" / "ir" / f"{name}.png", random.integers(0, 256, (48, 64), np.uint8))
        write_image(tmp_path / "set" / "vi" / f"{name}.png", random.integers(0, 256, (48, 64, 3), np.uint8))
        for method, top in (("dark", 90), ("bright", 240)):
            write_image(tmp_path / method / f"{name}.png", random.integers(0, top, (48, 64), np.uint8))
    return tmp_path
