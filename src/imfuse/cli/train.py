"""``imfuse train``: train a method on your own pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imfuse.core.errors import ImfuseError, RecipeError


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (such as auif) or a YAML file.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder with ir and vi (or train/ir and train/vi), and labels if there are any.")
    ] = None,
    infrared: Annotated[Path | None, typer.Option(help="Instead of --data: the folder of infrared images ...")] = None,
    visible: Annotated[Path | None, typer.Option(help="... and the folder of visible images.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")] = Path("runs/train"),
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change the recipe, as in --set optimizer.lr=0.001; STAGE.KEY=VALUE for one stage of several."
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Weights to begin with: a shipped entry such as default, or a file.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --output where it was stopped.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the recipe with all defaults and stop.")] = False,
    name: Annotated[str, typer.Option(help="What the data is called in the header of the weights.")] = "",
    accelerator: Annotated[str, typer.Option(help="cpu, gpu, mps ... as Lightning names them.")] = "auto",
    devices: Annotated[str, typer.Option(help="How many, or which, as in 2 or 0,3.")] = "auto",
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    threads: Annotated[int, typer.Option(min=0, help="Processor threads; 0 takes all.")] = 0,
) -> None:
    """Train a method by its recipe, or by its stages. A stopped run continues with --resume as if it had not been."""
    from imfuse.training.recipe import load_stages

    stages = load_stages(recipe, changes or ())
    if show:
        typer.echo("---\n".join(settings.to_yaml() for settings in stages.values()), nl=False)
        return
    folders = _folders(data, infrared, visible)
    try:
        from imfuse.training.engine import train as run
    except ModuleNotFoundError:
        raise ImfuseError("training needs more packages: pip install 'imfuse[train]'") from None
    import torch
    from rich.console import Console

    from imfuse.data.pairs import find_pairs

    if threads:
        torch.set_num_threads(threads)
    files = find_pairs(*folders)
    console = Console(stderr=True, soft_wrap=True)
    for stage, settings in stages.items():
        folder = output if len(stages) == 1 else output / stage
        weights = folder / "weights.safetensors"
        if resume and len(stages) > 1 and weights.is_file():
            console.print(f"{stage}: done")
        else:
            console.print(f"{stage}: {len(files)} pairs from {folders[0]}, {settings.epochs} epochs; run in {folder}")
            weights = run(
                settings,
                files,
                folder,
                start=start,
                resume=resume,
                accelerator=accelerator,
                devices=int(devices) if devices.isdigit() else devices,
                nodes=nodes,
                data_name=name or folders[0].name,
                progress=console.is_terminal,
            )
        start = str(weights)
    typer.echo(f"weights: {weights}\nlog:     {folder / 'log.jsonl'}\ncurve:   {folder / 'curve.png'}")
    typer.echo(f"use:     imfuse fuse INFRARED VISIBLE --model {settings.model} --weights {weights}")


def _folders(data: Path | None, infrared: Path | None, visible: Path | None) -> tuple[Path, Path | None]:
    if data is not None and infrared is None and visible is None:
        return data, None
    if data is None and infrared is not None and visible is not None:
        return infrared, visible
    raise RecipeError("give the training pairs as --data DIR, or as --infrared DIR with --visible DIR")
