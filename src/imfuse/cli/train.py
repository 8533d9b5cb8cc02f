"""``imfuse train``: train a method on your own pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imfuse.core.errors import ImfuseError, RecipeError

if TYPE_CHECKING:
    from imfuse.training.stages import Stage


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (such as auif) or a YAML file.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]DIR",
            help="Folder with ir and vi (or train/ir and train/vi), and labels if there are any; several, each with a "
            "name, for a recipe that mixes data sets.",
        ),
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
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --output after a stop.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the recipe with all defaults and stop.")] = False,
    data_name: Annotated[
        str, typer.Option(help="What the data is called in the header of the weights. Default: its folder.")
    ] = "",
    licence: Annotated[
        str, typer.Option(help="Licence of the weights, for their header; those of --start pass on theirs.")
    ] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, cuda:0,3 or mps.")] = "auto",
    processes: Annotated[
        int | None, typer.Option(min=1, help="How many devices train together. Default: all GPUs, or one processor.")
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, help="Machines that train together.")] = 1,
    threads: Annotated[int, typer.Option(min=0, help="Processor threads; 0 takes all.")] = 0,
) -> None:
    """Train a method by its recipe, or by its stages. A stopped run continues with --resume as if it had not been."""
    from imfuse.training.recipe import load_stages

    stages = load_stages(recipe, changes or ())
    if show:
        typer.echo("---\n".join(settings.to_yaml() for settings in stages.values()), nl=False)
        return
    folders = _folders(data or [], infrared, visible)
    try:
        from imfuse.training.stages import train_stages
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("imfuse"):
            raise
        raise ImfuseError(f"training needs {error.name}: pip install 'imfuse[train]'") from error
    import torch
    from rich.console import Console

    from imfuse.data.pairs import find_pairs

    if threads:
        torch.set_num_threads(threads)
    files = [replace(one, source=name) for name, pair in folders.items() for one in find_pairs(*pair)]
    sources = ", ".join(str(first) for first, _ in folders.values())
    console = Console(stderr=True, soft_wrap=True)

    def announce(stage: Stage) -> None:
        what = f"{len(files)} pairs from {sources}, {stage.recipe.epochs} epochs; run in {stage.folder}"
        console.print(f"{stage.name}: {'done' if stage.done else what}")

    weights = train_stages(
        stages,
        files,
        output,
        start=start,
        resume=resume,
        announce=announce,
        licence=licence,
        data_name=data_name or ", ".join(name or first.name for name, (first, _) in folders.items()),
        device=device,
        processes=processes,
        nodes=nodes,
        progress=console.is_terminal,
    )
    model = next(reversed(stages.values())).model
    typer.echo(f"weights: {weights}\nlog:     {weights.parent / 'log.jsonl'}\ncurve:   {weights.parent / 'curve.png'}")
    typer.echo(f"use:     imfuse fuse INFRARED VISIBLE --model {model} --weights {weights}")


def _folders(data: list[str], infrared: Path | None, visible: Path | None) -> dict[str, tuple[Path, Path | None]]:
    """Folders of each data set by its name; one alone needs none."""
    if data and infrared is None and visible is None:
        named = [word.partition("=") for word in data]
        folders = {name if equals else "": (Path(folder if equals else name), None) for name, equals, folder in named}
        if len(folders) < len(data) or (len(data) > 1 and "" in folders):
            raise RecipeError("--data: several data sets need a name each, --data NAME=DIR")
        return {**folders}
    if not data and infrared is not None and visible is not None:
        return {"": (infrared, visible)}
    raise RecipeError("give the training pairs as --data DIR, or as --infrared DIR with --visible DIR")
