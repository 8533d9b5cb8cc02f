"""``imfuse benchmark efficiency`` and ``check-weights``: what methods cost, and whether weights can be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imfuse.cli._printing import console, say
from imfuse.core.registry import get_spec, list_models
from imfuse.core.text import printable


def efficiency(
    models: Annotated[
        str,
        typer.Option(
            metavar="[NAME=]MODEL[:WEIGHTS],...", help="Models; all are those that ship weights or need none."
        ),
    ] = "all",
    sizes: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT,...")] = "256x256,512x512,640x480,1024x768",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    dtype: Annotated[str, typer.Option(help="Number format of the networks.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Processor threads; 0 takes all.")] = 0,
    seconds: Annotated[float, typer.Option(min=0, help="Time to measure for each model and size.")] = 3.0,
    segmenters: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Add what telling classes costs, by fused pictures or features."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write efficiency.md and efficiency.json into.")
    ] = None,
) -> None:
    """Parameters, operations, time and peak memory of models, each measured in a process of its own."""
    from imfuse.benchmark.plan import parse_models

    entries = parse_models(models)
    from rich.text import Text

    from imfuse.benchmark.efficiency import as_json, markdown, measure_models, parse_sizes
    from imfuse.cli._benchmark_tables import print_efficiency
    from imfuse.imaging import write_file

    wanted = parse_sizes(sizes)
    with console(stderr=True).status("measuring") as status:
        measured = measure_models(
            entries,
            wanted,
            device=device,
            dtype=dtype,
            threads=threads,
            seconds=seconds,
            segmenters=[word.strip() for word in segmenters.split(",")] if segmenters else (),
            progress=lambda done, total, name: status.update(Text(f"{done} of {total}: {printable(name)}")),
        )
    print_efficiency(measured)
    if output is not None:
        for name, text in (("efficiency.md", markdown(measured)), ("efficiency.json", as_json(measured))):
            write_file(output / name, text.encode(), through_links=False)
            say(output / name)


def check_weights(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL[:WEIGHTS]]...", help="By default all weights that ship.", show_default=False),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
) -> None:
    """Whether weights make pictures that can be looked at: no grid, no frame, no haze, nothing lost by night."""
    from imfuse.benchmark.weights_check import check_weights as check
    from imfuse.cli._benchmark_tables import print_checks

    shipped = [f"{name}:{entry.name}" for name in list_models() for entry in get_spec(name).weights]
    failed = False
    for word in models or shipped:
        model, _, weights = word.partition(":")
        found = check(model, weights or "default", device=device)
        print_checks(word, found)
        failed |= not all(one.passed for one in found)
    if failed:
        raise typer.Exit(1)
