"""The contract of a fusion network."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from imfuse.core.errors import ModelError
from imfuse.core.spec import ModelSpec, Value

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Prediction:
    """What a network returns: ``fused`` (N, 1, H, W) in [0, 1]; a method that computes more has fields for it.

    A field ``semantic`` holds logits of classes, (N, classes, H, W).
    """

    fused: Tensor


class FusionModel(nn.Module):
    """A network that fuses two registered gray images: what methods derive from.

    ``forward(infrared, visible)`` takes (N, 1, H, W) tensors in [0, 1] of the same size, with H and W as
    ``spec.size`` accepts them, and returns the fused image, (N, 1, H, W) in [0, 1].
    A network of ``spec.colour`` also takes the visible image as (N, 3, H, W), red, green and blue.
    It knows nothing of files, colour or padding: ``imfuse.Fuser`` does.

    ``spec`` is what the method declares, ``options`` the values of its options that the network was built with.

    Example:
        >>> from imfuse.models import create_model
        >>> import torch
        >>> network = create_model("auif", rule="average")
        >>> network.options, network(torch.rand(1, 1, 32, 48), torch.rand(1, 1, 32, 48)).shape
        ({'rule': 'average'}, torch.Size([1, 1, 32, 48]))
    """

    spec: ClassVar[ModelSpec]
    initial_url: ClassVar[str] = ""
    """Where the file of ``initial_layout`` can be had; the end of its name is the start of its SHA-256."""
    options: Mapping[str, Value]

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Remember the options: with the weights they decide what the network computes."""
        model = super().__new__(cls)
        arguments = inspect.signature(cls.__init__).bind_partial(model, *args, **options)
        arguments.apply_defaults()
        values = {name: value for name, value in arguments.arguments.items() if name != "self"}
        spec = getattr(cls, "spec", None)
        values = _checked_options(spec, values) if isinstance(spec, ModelSpec) else {}
        # nn.Module takes attributes after its own constructor alone.
        object.__setattr__(model, "options", values)
        return model

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fuse a pair.

        Args:
            infrared: (N, 1, H, W) in [0, 1], of a size that ``spec.size`` accepts.
            visible: the registered partner, of the same shape; (N, 3, H, W) for a network of ``spec.colour``.

        Returns:
            The fused image, (N, 1, H, W) in [0, 1].
        """
        raise ModelError(f"{type(self).__name__} does not define forward(infrared, visible)")

    def predict(self, infrared: Tensor, visible: Tensor) -> Prediction:
        """Everything that the network computes; ``forward`` computes only what the fused image needs.

        Args:
            infrared: as for :meth:`forward`.
            visible: as for :meth:`forward`.

        Returns:
            The fused image, and what else the method computes, such as classes.
        """
        return Prediction(self(infrared, visible))

    @classmethod
    def published_layout(cls) -> Mapping[str, str]:
        """What the authors' checkpoint calls the entries of the state.

        Returns:
            Name in their checkpoint -> name in our state; empty where no checkpoint was published.
        """
        return {}

    @classmethod
    def published_extras(cls) -> tuple[str, ...]:
        """Entries of the authors' checkpoint that play no part in the result.

        Returns:
            Patterns of their names, such as ``*.attn_mask``.
        """
        return ()

    @classmethod
    def from_release(cls, entries: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Bring another release by the authors to the names of ``published_layout``.

        Args:
            entries: of a checkpoint.

        Returns:
            The entries renamed; those of the usual release, or of anybody else, as they are.
        """
        return entries

    def initial_layout(self) -> Mapping[str, tuple[str, ...]]:
        """What a file of initial weights, such as those of ImageNet, holds of the state.

        Returns:
            Name in that file -> names in our state; empty where training starts from random values.
        """
        return {}


def _checked_options(spec: ModelSpec, arguments: Mapping[str, Any]) -> dict[str, Value]:
    """Those of a constructor's arguments that are options; ``ModelError`` for a value that is none of the choices."""
    values = {option.name: arguments[option.name] for option in spec.options if option.name in arguments}
    for name, choice in spec.check_options(values).items():
        # A constructor takes typed values alone: there "off" would count as true.
        if name in values and type(choice) is not type(values[name]):
            raise ModelError(f"{spec.name}: {name}={values[name]!r}: a value such as {choice!r} is expected")
    return values
