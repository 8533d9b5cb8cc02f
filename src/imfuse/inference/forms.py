"""Which inference form a network has: that of ``imfuse.inference.<module>`` for ``imfuse.models.<module>``."""

from __future__ import annotations

import importlib
import pkgutil

from torch import nn

import imfuse.inference

_MODELS = "imfuse.models."
_FORMS = frozenset(module.name for module in pkgutil.iter_modules(imfuse.inference.__path__)) - {"forms"}
# What a variant of a network may change without computing anything else: its size, and which checkpoints it knows.
_NOT_COMPUTED = frozenset({"__init__", "published_layout", "published_extras", "from_release", "initial_layout"})


def fast_form(model: nn.Module) -> nn.Module:
    """A module that gives the image of ``model`` faster and cannot be trained.

    It takes and gives float32 images whatever type its weights are moved to. A network that derives from one of ours
    and changes none of its methods has the form of that one; where there is no form the network itself is returned,
    in evaluation mode and without gradients.

    Args:
        model: a network of the contract; it is put into evaluation mode and otherwise left as it is.

    Returns:
        A module with the ``forward(infrared, visible)`` of the network.

    Example:
        >>> from imfuse.models import create_model
        >>> type(fast_form(create_model("auif"))).__name__
        'FoldedAUIF'
    """
    model.eval()
    for owner in type(model).__mro__:
        name = owner.__module__.removeprefix(_MODELS)
        if owner.__module__.startswith(_MODELS) and name in _FORMS:
            form: nn.Module | None = importlib.import_module(f"imfuse.inference.{name}").fast_form(model)
            if form is not None:
                return form
        if _computes(owner):
            # What lies above computes something else: its form would give another image.
            break
    return model.requires_grad_(False)


def _computes(network: type) -> bool:
    """Whether a class defines what is computed: then the form of a base class is not its own."""
    return any(callable(value) and name not in _NOT_COMPUTED for name, value in vars(network).items())
