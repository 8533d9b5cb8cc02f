"""Weights that a training starts from, such as ImageNet's of a ResNet: a file that the user has, or a download."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from imfuse.core.checkpoint import read_checkpoint
from imfuse.core.errors import RecipeError, WeightsError
from imfuse.core.files import file_hash
from imfuse.core.weights import check_layout
from imfuse.models._base import FusionModel

DOWNLOAD = "download"


def initialise(network: FusionModel, initial: str) -> None:
    """Copy the entries of a file that the network's ``initial_layout`` names; others of it are not used.

    ``initial`` is its path, or ``download``, which fetches the network's ``initial_url`` into PyTorch's cache once.
    A name that ends in eight hexadecimal digits, as in ``resnet34-b627a593.pth``, says how the file's SHA-256 begins,
    as PyTorch's downloads do; that is checked. Raises ``RecipeError`` or ``WeightsError``.
    """
    layout = network.initial_layout()
    if not layout:
        raise RecipeError(f"initial: {network.spec.name} knows no weights to start from; leave it out")
    file = _download(network.initial_url) if initial == DOWNLOAD else Path(initial)
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


def _download(url: str) -> Path:
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not file.is_file():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # It writes beside the file and moves it there when all has come.
            torch.hub.download_url_to_file(url, str(file), progress=False)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise RecipeError(f"initial: cannot download {url} ({reason}); or give the path of that file") from None
    return file
