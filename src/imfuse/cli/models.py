"""``imfuse models``: what can be fused with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imfuse.cli._printing import console, warn
from imfuse.core.spec import option_text
from imfuse.core.text import printable

if TYPE_CHECKING:
    from rich.table import Table

    from imfuse.core.spec import ModelSpec, SizeRule, WeightsSpec

NONE_SHIP = "none ship: convert the authors' (imfuse convert), or train (imfuse train)"


def models(
    pattern: Annotated[str, typer.Argument(help="A method's name, or a shell pattern of names, such as 'psf*'.")] = "*",
) -> None:
    """List the fusion methods; with the name of one: all about it, paper, options, weights, licences."""
    from rich.text import Text

    from imfuse.core.errors import ModelError
    from imfuse.core.plugins import is_reference
    from imfuse.core.registry import get_spec, list_models

    names = [pattern] if is_reference(pattern) else list_models(pattern)
    if not names:
        raise ModelError(f"no model matches {pattern!r}; there are {', '.join(list_models())}")
    if len(names) == 1:
        console().print(_card(get_spec(names[0])))
    else:
        console().print(_overview([spec for name in names if (spec := _loaded(name)) is not None]))
        footnote = "Licence: of the authors' code and weights; ours are Apache-2.0. More: imfuse models NAME"
        console().print(Text(footnote, style="dim"))


def _loaded(name: str) -> ModelSpec | None:
    """A specification; a warning where a package of others is broken, which must not hide the rest."""
    from imfuse.core.plugins import PluginError
    from imfuse.core.registry import get_spec

    try:
        return get_spec(name)
    except PluginError as error:
        warn(str(error), name)
        return None


def _overview(specs: list[ModelSpec]) -> Table:
    """One line for each method."""
    table = _grid(("MODEL", "METHOD", "PARAMETERS", "WEIGHTS", "LICENCE"))
    for spec in specs:
        shipped = "\n".join(f"{entry.name}, {_size(entry)}" for entry in spec.weights)
        table.add_row(
            printable(spec.name),
            printable(f"{spec.title}, {spec.paper.year}"),
            f"{spec.parameters:,}" if spec.parameters else "none",
            shipped or ("not needed" if spec.training_free else "convert or train"),
            "" if spec.training_free else printable(spec.authors_licence),
        )
    return table


def _card(spec: ModelSpec) -> Table:
    """All about one method."""
    table = _grid(("", ""))
    table.show_header = False
    lines = [
        (spec.name, f"{spec.title}: {spec.summary}"),
        ("paper", f"{spec.paper.title}, {spec.paper.venue}, {spec.paper.year}"),
        ("", spec.paper.link),
        ("takes", spec.inputs),
        ("parameters", f"{spec.parameters:,}" if spec.parameters else "none"),
    ]
    for entry in spec.weights:
        made = f"{entry.data}; recipe {entry.recipe}; {entry.date}; {entry.licence}"
        lines.append(("weights", f"{entry.name}, {_size(entry)}: {made}"))
        lines.append(("", f"terms of its data: {entry.terms}"))
        lines += [("", f"cannot pass {check}: {reason}") for check, reason in entry.exceptions.items()]
    if not spec.weights:
        lines.append(("weights", "not needed" if spec.training_free else NONE_SHIP))
    if not spec.training_free:
        lines.append(("licence", f"{spec.authors_licence} (of the authors' code and weights)"))
    lines += [("checks", f"cannot pass {check}: {reason}") for check, reason in spec.exceptions.items()]
    lines += [
        ("option", f"{option.name}={'|'.join(option.texts)} ({option_text(option.default)}): {option.help}")
        for option in spec.options
    ]
    lines += [
        ("dtypes", ", ".join(spec.dtypes)),
        ("tiles", _tiles(spec.size)),
        ("memory", f"about {spec.memory_per_pixel:,} bytes per pixel"),
    ]
    for label, text in lines:
        table.add_row(printable(label), printable(text))
    return table


def _tiles(rule: SizeRule) -> str:
    return f"no: {rule.not_tileable}" if rule.halo is None else f"yes, that overlap by {rule.halo} pixels"


def _grid(headings: tuple[str, ...]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        right = heading == "PARAMETERS"
        table.add_column(
            heading, no_wrap=heading not in ("", "METHOD"), justify="right" if right else "left", overflow="fold"
        )
    return table


def _size(entry: WeightsSpec) -> str:
    return _megabytes(entry.path.stat().st_size) if entry.path.is_file() else "missing"


def _megabytes(size: int) -> str:
    """
    >>> _megabytes(5_012_345), _megabytes(30_000)
    ('5.0 MB', '0.03 MB')
    """
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e6:.2f} MB"
