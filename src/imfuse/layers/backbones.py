"""Published backbones, such as VGG-19 of ImageNet: the file of their weights, found or fetched, and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from imfuse.core.checkpoint import read_checkpoint
from imfuse.core.errors import WeightsError
from imfuse.core.files import input_hash
from imfuse.core.safetensors_file import MAX_BYTES
from imfuse.core.text import printable
from imfuse.core.weights import check_finite, check_layout


def cached_file(url: str) -> Path:
    """Where PyTorch keeps the download of ``url``; the file need not be there."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def downloaded_file(url: str) -> Path:
    """The file of ``url``, fetched into PyTorch's cache once. Raises ``WeightsError``."""
    file = cached_file(url)
    if not file.is_file():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # It writes beside the file and moves it there when all has come.
            torch.hub.download_url_to_file(url, str(file), progress=False)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise WeightsError(f"cannot download {url} ({reason}); or give the path of that file") from None
    return file


def read_backbone(file: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Entries of a published file of weights; others of it, such as those of a classifier, are left out.

    A name that ends in eight hexadecimal digits, as in ``resnet34-b627a593.pth``, says how the file's SHA-256 begins,
    as PyTorch's downloads do; that is checked.

    Args:
        file: a checkpoint of plain tensors, which is never executed.
        wanted: tensors of the shapes that are needed, by their names in the file.

    Returns:
        The entries, by the same names.

    Raises:
        WeightsError: the file is missing, damaged, or lacks an entry of that name and shape.
    """
    stated = re.search(r"-([0-9a-f]{8})$", file.stem)
    if stated and not input_hash(file, WeightsError, "a checkpoint", MAX_BYTES, fixed=True).startswith(stated[1]):
        raise WeightsError(
            f"{printable(file)}: damaged (its sha256 does not begin with {stated[1]}); download it again"
        )
    entries = read_checkpoint(file)
    needed = {name: entries[name] for name in wanted if name in entries}
    check_layout(file, needed, wanted)
    check_finite(file, needed)
    return needed
