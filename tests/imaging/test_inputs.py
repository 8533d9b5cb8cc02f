from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imfuse.core.errors import ImageError
from imfuse.imaging import inputs, write_image


def test_the_limit_of_bytes_is_raised_by_that_of_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_image(path, np.zeros((20, 30), np.uint8))
    monkeypatch.setattr(inputs, "MAX_BYTES", 500)
    monkeypatch.setattr(inputs, "MAX_PIXELS", 600)
    with pytest.raises(ImageError, match="600 bytes, at most 500 are decoded; use a smaller picture") as caught:
        inputs.read(path, 600)
    assert "max_bytes" not in str(caught.value)
    assert caught.value.advice[-1].startswith("use a larger max_pixels=...")
    assert inputs.read(path, 720).pixels.shape == (20, 30)
    with pytest.raises(ImageError) as caught:
        inputs.read(path, 599)
    assert caught.value.advice == ("use a smaller picture", "use max_pixels=600 to allow it")
