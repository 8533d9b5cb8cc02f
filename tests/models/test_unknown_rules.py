"""A fusion rule or an output that does not exist is refused, by the plain network and by its inference form."""

from __future__ import annotations

import pytest
import torch

from imfuse.core.errors import ModelError
from imfuse.inference.forms import fast_form
from imfuse.models import model_class


@pytest.mark.parametrize(
    ("method", "option"),
    [
        ("auif", "rule"),
        ("didfuse", "rule"),
        ("densefuse", "rule"),
        ("rfn_nest", "rule"),
        ("cddfuse", "skip"),
        ("densefuse", "output"),
        ("lrrnet", "output"),
        ("sdnet", "output"),
        ("seafusion", "output"),
        ("u2fusion", "output"),
    ],
)
@pytest.mark.parametrize("form", ["plain", "inference"])
def test_unknown_value_is_refused(method: str, option: str, form: str) -> None:
    image = torch.rand(1, 1, 16, 16)

    def fuse() -> None:
        model = model_class(method)(**{option: "maximal"}).eval()
        with torch.inference_mode():
            (model if form == "plain" else fast_form(model))(image, image)

    with pytest.raises(ModelError, match="maximal"):
        fuse()
