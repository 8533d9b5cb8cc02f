"""What a method declares about itself beside its network. Light: reading a specification imports no torch."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from imfuse.core.errors import ModelError
from imfuse.core.size_rule import SizeRule as SizeRule
from imfuse.core.terms import terms_of

_ANY_SIZE = SizeRule()
SHIPPED = Path(__file__).resolve().parent.parent / "weights"
"""Folder of the weights that ship with the library."""


@dataclass(frozen=True)
class Paper:
    """Where a method was published.

    Args:
        title: of the paper.
        venue: journal or conference; "unpublished" where there is none, and then no address is needed.
        year: of publication.
        doi: without the resolver's address: ``10.1109/TIP.2018.2887342``.
        arxiv: number of the preprint: ``1804.08361``.
        url: address of the paper, where it has neither of them.

    Example:
        >>> Paper("DenseFuse", "IEEE TIP", 2019, doi="10.1109/TIP.2018.2887342").link
        'https://doi.org/10.1109/TIP.2018.2887342'
    """

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


Value = bool | int | str
"""What an option of a method can be set to."""


@dataclass(frozen=True)
class Option:
    """A choice that the constructor of a model offers, such as its fusion rule.

    Args:
        name: of the constructor's parameter.
        choices: values of one type: ``(True, False)``, numbers or words.
        default: one of them.
        help: what it does, in a line.
        whole: choices that look at the whole image: with them a method does not work in tiles.

    Example:
        >>> Option("rule", ("sum", "average"), "sum", "how features are joined").texts
        ('sum', 'average')
    """

    name: str
    choices: tuple[Value, ...]
    default: Value
    help: str
    whole: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        if not any(value == self.default and type(value) is type(self.default) for value in self.choices):
            raise ModelError(f"option {self.name}: its default {self.default!r} is none of its choices {self.choices}")

    def parse(self, value: Value) -> Value | None:
        """The choice that a value, or its text on a command line or in YAML, stands for.

        Args:
            value: a choice, or how it is written: ``"off"``, ``"2"``.

        Returns:
            The choice, of its own type; ``None`` where the value is none of them.

        Example:
            >>> Option("sfim", (True, False), True, "").parse("off"), Option("levels", (1, 2), 1, "").parse("2")
            (False, 2)
        """
        written = option_text(value).lower()
        return next((choice for choice in self.choices if written in _spellings(choice)), None)

    @property
    def texts(self) -> tuple[str, ...]:
        """The choices as they are written on a command line."""
        return tuple(map(option_text, self.choices))


def option_text(value: Value) -> str:
    """How the value of an option is written: ``on`` and ``off``, numbers, words.

    Args:
        value: a choice of an option.

    Returns:
        What :meth:`Option.parse` reads.

    Example:
        >>> option_text(True), option_text(4), option_text("sum")
        ('on', '4', 'sum')
    """
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _spellings(choice: Value) -> tuple[str, ...]:
    written = option_text(choice).lower()
    # Only of choices that are true or false: "1" is a number elsewhere.
    return (written, str(choice).lower(), "yes" if choice else "no") if isinstance(choice, bool) else (written,)


@dataclass(frozen=True)
class WeightsSpec:
    """A weights file that ships with the library, and where it comes from.

    Args:
        name: by which it is asked for; ``default`` is taken where none is named.
        file: its name in the folder of weights.
        sha256: of the file, 64 hexadecimal digits; another file is refused.
        recipe: by which it was trained.
        data: on which it was trained, data sets by the names that ``imfuse.core.terms`` knows them by; those of the
            weights that it began with count too.
        date: of the training, YYYY-MM-DD.
        licence: of the file.
        bias: by how many gray levels of 8 bits a network with these weights may show a pair without any detail outside
            the levels of its two pictures.
        exceptions: checks of ``imfuse.benchmark.check_weights`` that the weights cannot pass, each with the reason.

    Example:
        >>> from imfuse.core.registry import get_spec
        >>> get_spec("auif").find_weights("default").path.name
        'auif.safetensors'
    """

    name: str
    file: str
    sha256: str
    recipe: str
    data: str
    date: str
    licence: str = "Apache-2.0"
    bias: int = 0
    exceptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return SHIPPED / self.file

    @property
    def terms(self) -> str:
        """What is known of the terms of the data; the licence of the file stands beside them."""
        return terms_of(self.data)


@dataclass(frozen=True, repr=False)
class ModelSpec:
    """What the library knows of a method without building it.

    Args:
        name: by which it is asked for; that of its file, for a method of this library.
        title: how the paper writes it.
        paper: where it was published.
        summary: one line for lists.
        inputs: what the two pictures are.
        colour: whether the network looks at the colours of the visible picture where it has any.
        size: which heights and widths ``forward`` takes, and how tiles overlap; callers pad and cut by it.
        uneven: why the network may show a pair without any detail unevenly, such as "zeros beyond the border"; empty
            where it does not.
        memory_per_pixel: peak number of bytes that the inference form needs per pixel of the pair in float32.
        dtypes: number formats that it computes in, names of torch's.
        options: choices of the constructor.
        weights: files that ship.
        training_free: whether there is nothing to learn or to load.
        training_parts: entries of weights whose name begins with one of these serve training alone: a network that is
            built without them leaves them in the file.
        classes: how many classes the field ``semantic`` of a prediction tells apart; 0 where there is none.
        parameters: how many numbers the network learns.
        exceptions: checks of ``imfuse.benchmark.check_weights`` that the method cannot pass by its nature, whatever its
            weights, each with the reason.
        authors_licence: of the authors' code and weights, which a converted checkpoint keeps; "none given" reserves
            all rights.

    Example:
        >>> ModelSpec(name="tiny", title="Tiny", paper=Paper("Tiny fusion", "unpublished", 2026), summary="a mean")
        ModelSpec('tiny': Tiny, 2026)
    """

    name: str
    title: str
    paper: Paper
    summary: str
    inputs: str = "infrared + visible luminance"
    colour: bool = False
    size: SizeRule = _ANY_SIZE
    uneven: str = ""
    memory_per_pixel: int = 1024
    dtypes: tuple[str, ...] = ("float32",)
    options: tuple[Option, ...] = ()
    weights: tuple[WeightsSpec, ...] = ()
    training_free: bool = False
    training_parts: tuple[str, ...] = ()
    classes: int = 0
    parameters: int = 0
    exceptions: Mapping[str, str] = field(default_factory=dict)
    authors_licence: str = "not known"

    def __repr__(self) -> str:
        return f"ModelSpec({self.name!r}: {self.title}, {self.paper.year})"

    def check_options(self, options: Mapping[str, Value]) -> dict[str, Value]:
        """Values of all options, typed: what is given, as value or as text, and the defaults of the others.

        Args:
            options: name of an option -> a choice, or how it is written.

        Returns:
            Name of each option -> its value.

        Raises:
            ModelError: an option or a value is unknown.

        Example:
            >>> from imfuse.core.registry import get_spec
            >>> get_spec("refinefuse").check_options({"levels": "3", "psim": False})["levels"]
            3
        """
        offered = {option.name: option for option in self.options}
        values = {option.name: option.default for option in self.options}
        for name, value in options.items():
            if name not in offered:
                near = difflib.get_close_matches(name, offered, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise ModelError(f"{self.name}: unknown option {name!r}; {hint}it has: {', '.join(offered) or 'none'}")
            choice = offered[name].parse(value)
            if choice is None:
                choices = ", ".join(offered[name].texts)
                raise ModelError(f"{self.name}: {name}={option_text(value)!r} is not one of {choices}")
            values[name] = choice
        return values

    def with_options(self, options: Mapping[str, Value]) -> ModelSpec:
        """The specification with these options: some of them forbid tiles.

        Args:
            options: values of all options, as :meth:`check_options` returns them.

        Returns:
            This specification, or one whose size rule says which option looks at the whole image.
        """
        for option in self.options:
            if options[option.name] in option.whole:
                reason = f"{option.name}={option_text(options[option.name])} looks at the whole picture at once"
                rule = replace(self.size, halo=None, not_tileable=self.size.not_tileable or reason)
                return replace(self, size=rule)
        return self

    def find_weights(self, name: str) -> WeightsSpec:
        """Look up weights that ship.

        Args:
            name: of the entry.

        Returns:
            The entry.

        Raises:
            ModelError: there is none of that name; the message lists those that there are.
        """
        for entry in self.weights:
            if entry.name == name:
                return entry
        raise ModelError(
            f"{self.name}: no shipped weights {name!r}; there are: {', '.join(w.name for w in self.weights) or 'none'}"
        )
