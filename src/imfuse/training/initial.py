"""Weights that a training starts from, such as ImageNet's of a ResNet: a file that the user has, or a download."""

from __future__ import annotations

from pathlib import Path

import torch

from imfuse.core.errors import RecipeError, WeightsError
from imfuse.core.files import file_hash
from imfuse.core.text import printable
from imfuse.layers.backbones import downloaded_file, read_backbone
from imfuse.models import FusionModel

DOWNLOAD = "download"


def initialise(network: FusionModel, initial: str) -> dict[str, str]:
    """Copy the entries of a file that the network's ``initial_layout`` names.

    Args:
        network: a fresh one.
        initial: path of the file, or ``download``, which fetches the network's ``initial_url`` into PyTorch's cache
            once.

    Returns:
        Entry for the header of what is trained: ``initial``, the file and its hash.

    Raises:
        RecipeError: the network has no such weights, or the file cannot be had.
        WeightsError: the file is damaged, or is of another network.
    """
    layout = network.initial_layout()
    if not layout:
        raise RecipeError(f"initial: {network.spec.name} has no weights to start from; leave it out")
    try:
        file = downloaded_file(network.initial_url) if initial == DOWNLOAD else Path(initial)
    except WeightsError as error:
        raise RecipeError(f"initial: {error}") from None
    if not file.exists():
        raise RecipeError(f"initial: {printable(file)}: no such file")
    state = network.state_dict()
    entries = read_backbone(file, {published: state[names[0]] for published, names in layout.items()})
    with torch.no_grad():
        for published, names in layout.items():
            for name in names:
                state[name].copy_(entries[published])
    return {"initial": f"{file.name} sha256:{file_hash(file)}"}
