"""Where weights come from: what a run begins with, whose licence they keep, and what their header holds of a run."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Mapping
from pathlib import Path

import lightning as L
import torch

from imfuse.core.errors import WeightsError
from imfuse.core.registry import get_spec
from imfuse.core.spec import option_text
from imfuse.core.terms import terms_of
from imfuse.core.text import shortened
from imfuse.core.version import VERSION
from imfuse.core.weights import load_weights, read_header, resolve_weights, weights_hash
from imfuse.models import FusionModel
from imfuse.training.recipe import Recipe

NOT_STATED = "not stated"
"""Licence of weights whose maker stated none."""


def begin_with(network: FusionModel, start: str | Path | None, licence: str) -> dict[str, str]:
    """Load weights into a fresh network, if there are any to start with.

    Returns:
        Entries for the header of what is trained: ``start``, the file and its hash, ``start_data``, what it was trained
        on, and ``licence``.

    Raises:
        WeightsError: the weights are missing, damaged, of another method, or of another licence than is stated.
    """
    if start is None:
        return {"licence": licence or NOT_STATED}
    path = resolve_weights(network.spec, start)
    header = read_header(path)
    entries = {
        "start": f"{path.name} sha256:{weights_hash(path)}",
        "start_data": ", ".join(header[key] for key in ("data", "start_data") if key in header),
        "licence": agreed_licence(licence, header.get("licence", ""), str(path)),
    }
    network.load_state_dict(load_weights(path, network.spec, network.state_dict()))
    return entries


def agreed_licence(stated: str, inherited: str, origin: str) -> str:
    """The licence of weights that are trained from others: theirs, or the stated one where they have none.

    Args:
        stated: by the user; may be empty.
        inherited: of the weights that a run begins with, or continues with; may be empty.
        origin: where these are.

    Raises:
        WeightsError: both are there and differ.

    >>> agreed_licence("", "MIT", "start.safetensors"), agreed_licence("MIT", "not stated", "start.safetensors")
    ('MIT', 'MIT')
    """
    stated, inherited = ("" if licence == NOT_STATED else licence for licence in (stated, inherited))
    if stated and inherited and stated != inherited:
        raise WeightsError(
            f"{origin}: its licence, {shortened(inherited)!r}, is that of what is trained from it",
            f"leave out licence={stated!r}",
        )
    return stated or inherited or NOT_STATED


def header_of(
    recipe: Recipe, model: str, pairs: int, steps: int, data_name: str, origin: Mapping[str, str]
) -> dict[str, str]:
    """Entries for the header of trained weights about their run; ``origin`` is what it began with."""
    rendered = f", {recipe.data.rendered} rendered scenes" if recipe.data.rendered else ""
    data = f"{data_name or 'unnamed'}{rendered}"
    return {
        "model": model,
        "recipe": _portable(recipe).to_yaml(),
        "data": data,
        "terms": terms_of(f"{data}, {origin.get('start_data', '')}"),
        **_options_of(recipe),
        "pairs": str(pairs),
        "steps": str(steps),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "imfuse": VERSION,
        "torch": torch.__version__,
        **origin,
    }


def _options_of(recipe: Recipe) -> dict[str, str]:
    """Options other than the method's defaults: whoever loads the weights gets them without asking."""
    defaults = get_spec(recipe.model).check_options({})
    other = [f"{name}={option_text(value)}" for name, value in recipe.options.items() if value != defaults[name]]
    return {"options": ", ".join(other)} if other else {}


def _portable(recipe: Recipe) -> Recipe:
    """The recipe without the folders of files that it names, which are of no use to others."""
    names = {key: getattr(recipe, key) for key in ("model", "objective", "initial")}
    return recipe.model_copy(update={key: name[max(map(name.rfind, "/\\")) + 1 :] for key, name in names.items()})


def environment() -> str:
    """Versions and machine of a run, a line each."""
    lines = {
        "imfuse": VERSION,
        "torch": torch.__version__,
        "lightning": L.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": str(torch.get_num_threads()),
        "processors": str(os.cpu_count()),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
    return "".join(f"{name}: {value}\n" for name, value in lines.items())
