"""``imfuse models``: what can be fused with."""

from __future__ import annotations

from typing import Annotated

import typer

NO_WEIGHTS = "none ship: convert the authors' (imfuse convert), or train"


def models(
    pattern: Annotated[str, typer.Argument(help="Shell pattern of names, such as 'auif*'.")] = "*",
) -> None:
    """List the fusion methods: paper, options, number formats, shipped weights."""
    from rich.console import Console
    from rich.table import Table

    from imfuse.core.errors import ModelError
    from imfuse.core.registry import get_spec, list_models
    from imfuse.core.spec import ModelSpec

    def row(spec: ModelSpec) -> tuple[str, ...]:
        options = "\n".join(f"{o.name}={'|'.join(o.choices)} ({o.default})" for o in spec.options)
        weights = "\n".join(f"{w.name}: {w.data}, {w.date}" for w in spec.weights)
        title = f"{spec.title}, {spec.paper.year}\n[dim]{spec.summary}[/]"
        return (
            spec.name,
            title,
            weights or ("not needed" if spec.training_free else NO_WEIGHTS),
            options or "none",
            ", ".join(spec.dtypes),
        )

    names = list_models(pattern)
    if not names:
        raise ModelError(f"no model matches {pattern!r}; there are {', '.join(list_models())}")
    table = Table(box=None, padding=(0, 2, 1, 0), header_style="bold")
    for heading in ("MODEL", "METHOD", "WEIGHTS", "OPTIONS (default)", "DTYPES"):
        table.add_column(heading, no_wrap=heading == "MODEL", overflow="fold")
    for name in names:
        table.add_row(*row(get_spec(name)))
    Console(highlight=False).print(table)
