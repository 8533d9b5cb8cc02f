"""Weights that a training starts from, such as ImageNet's of a ResNet: a file that the user has."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from imfuse.core.convert import read_checkpoint
from imfuse.core.errors import RecipeError, WeightsError
from imfuse.core.weights import check_layout, file_hash
from imfuse.models import FusionModel


def initialise(network: FusionModel, file: Path) -> None:
    """Copy the entries of ``file`` that the network's ``initial_layout`` names; others of it are not used.

    A name that ends in eight hexadecimal digits, as in ``resnet34-b627a593.pth``, says how the file's SHA-256 begins,
    as PyTorch's downloads do; that is checked. Raises ``RecipeError`` or ``WeightsError``.
    """
    layout = network.initial_layout()
    if not layout:
        raise RecipeError(f"initial: {network.spec.name} knows no weights to start from; leave it out")
    if not file.is_file():
        raise RecipeError(f"initial: {file}: no such file")
    said = re.search(r"-([0-9a-f]{8})$", file.stem)
    if said and not file_hash(file).startswith(said[1]):
        raise WeightsError(f"{file}: damaged (its sha256 does not begin with {said[1]}); download it again")
    entries, state = read_checkpoint(file), network.state_dict()
    wanted = {theirs: state[ours[0]] for theirs, ours in layout.items()}
    check_layout(file, {name: entries[name] for name in wanted if name in entries}, wanted)
    with torch.no_grad():
        for theirs, names in layout.items():
            for ours in names:
                state[ours].copy_(entries[theirs])
