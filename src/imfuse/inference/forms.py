"""Finds the inference form of a network: that of ``imfuse.inference.<name>`` for ``imfuse.models.<name>``."""

from __future__ import annotations

import importlib
import pkgutil

from torch import nn

import imfuse.inference

_MODELS = "imfuse.models."
_FORMS = frozenset(module.name for module in pkgutil.iter_modules(imfuse.inference.__path__)) - {"forms"}
# A variant of a network may redefine these and still compute the same from its weights.
_NOT_COMPUTED = frozenset({"__init__", "published_layout", "published_extras", "from_release", "initial_layout"})


def fast_form(model: nn.Module) -> nn.Module:
    """The inference form of a network: a module that computes the same image faster and cannot be trained.

    It takes and returns float32 images, whatever type its weights are moved to. A network that derives from one of this
    library and redefines none of its methods has the form of its base class.

    Args:
        model: a network that fulfils the contract of :class:`~imfuse.models.FusionModel`; it is put into evaluation
            mode.

    Returns:
        A module with the ``forward(infrared, visible)`` of the network; the network itself, without gradients, if it
        has no inference form.

    Example:
        >>> from imfuse.models import create_model
        >>> type(fast_form(create_model("auif"))).__name__
        'FoldedAUIF'
    """
    model.eval()
    for network in type(model).__mro__:
        name = network.__module__.removeprefix(_MODELS)
        if network.__module__.startswith(_MODELS) and name in _FORMS:
            form: nn.Module | None = importlib.import_module(f"imfuse.inference.{name}").fast_form(model)
            if form is not None:
                return form
        if _redefines_computation(network):
            # The forms of its base classes would compute another image.
            break
    return model.requires_grad_(False)


def _redefines_computation(network: type) -> bool:
    return any(callable(value) and name not in _NOT_COMPUTED for name, value in vars(network).items())
