"""What a method declares about itself beside its network. Light: reading a specification imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from imfuse.core.errors import ModelError

SHIPPED = Path(__file__).resolve().parent.parent / "weights"
"""Folder of the weights that ship with the library."""


@dataclass(frozen=True)
class Paper:
    """Where the method was published."""

    title: str
    venue: str
    year: int
    doi: str = ""
    arxiv: str = ""
    url: str = ""

    @property
    def link(self) -> str:
        """Address of the paper: the DOI, else arXiv, else ``url``."""
        if self.doi:
            return f"https://doi.org/{self.doi}"
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url


@dataclass(frozen=True)
class Option:
    """A choice that the constructor of a model offers, such as its fusion rule.

    ``whole`` are the choices that look at the whole picture: with them a method does not work in tiles.
    """

    name: str
    choices: tuple[str, ...]
    default: str
    help: str
    whole: tuple[str, ...] = ()


@dataclass(frozen=True)
class WeightsSpec:
    """A weights file that ships with the library, and where it comes from."""

    name: str
    file: str
    sha256: str
    recipe: str
    data: str
    date: str
    licence: str = "Apache-2.0"

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return SHIPPED / self.file


@dataclass(frozen=True)
class ModelSpec:
    """What the library knows of a method without building it.

    ``colour`` networks look at the colours of the visible picture where it has any.
    ``multiple`` and ``min_size`` are what ``forward`` asks of height and width; callers pad.
    ``halo`` is the radius of the receptive field in pixels: tiles that overlap by it give what the whole image gives.
    ``halo=None`` means that no finite halo does, and ``not_tileable`` says why.
    ``classes`` is how many classes the field ``semantic`` of a prediction tells apart; 0 where there is none.
    A ``training_free`` method has nothing to learn or to load. Entries of weights whose name begins with one of
    ``training_parts`` serve training alone: a network that is built without them leaves them in the file.
    ``memory_per_pixel`` is the peak number of bytes that the inference form needs per pixel of the pair in float32.
    ``parameters`` counts all that the network learns. ``authors_licence`` is that of the authors' code and weights,
    which a converted checkpoint keeps; "none given" reserves all rights.
    """

    name: str
    title: str
    paper: Paper
    summary: str
    inputs: str = "infrared + visible luminance"
    colour: bool = False
    multiple: int = 1
    min_size: int = 1
    halo: int | None = None
    not_tileable: str = ""
    memory_per_pixel: int = 1024
    dtypes: tuple[str, ...] = ("float32",)
    options: tuple[Option, ...] = ()
    weights: tuple[WeightsSpec, ...] = ()
    training_free: bool = False
    training_parts: tuple[str, ...] = ()
    classes: int = 0
    parameters: int = 0
    authors_licence: str = "not known"

    def check_options(self, options: dict[str, str]) -> dict[str, str]:
        """Fill in defaults; raise ``ModelError`` for an unknown option or value."""
        known = {option.name: option for option in self.options}
        for name, value in options.items():
            if name not in known:
                offered = ", ".join(known) or "none"
                raise ModelError(f"{self.name}: unknown option {name!r}; it has: {offered}")
            if value not in known[name].choices:
                raise ModelError(f"{self.name}: {name}={value!r} is not one of {', '.join(known[name].choices)}")
        return {name: options.get(name, option.default) for name, option in known.items()}

    def with_options(self, options: dict[str, str]) -> ModelSpec:
        """What the specification is with these options (:meth:`check_options`): some of them forbid tiles."""
        for option in self.options:
            if options[option.name] in option.whole:
                reason = f"{option.name}={options[option.name]} looks at the whole picture at once"
                return replace(self, halo=None, not_tileable=self.not_tileable or reason)
        return self

    def find_weights(self, name: str) -> WeightsSpec:
        """The shipped entry ``name``; ``ModelError`` where there is none."""
        for entry in self.weights:
            if entry.name == name:
                return entry
        raise ModelError(
            f"{self.name}: no shipped weights {name!r}; there are: {', '.join(w.name for w in self.weights) or 'none'}"
        )
