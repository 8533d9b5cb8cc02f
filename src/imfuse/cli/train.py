"""``imfuse train``: train a method by its recipe, or a network of a task on fused pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imfuse.cli._flags import Group
from imfuse.cli._printing import console, say, tell
from imfuse.cli._rig import RigOption
from imfuse.cli.train_tasks import detector, segmenter
from imfuse.core.errors import ImfuseError, RecipeError

if TYPE_CHECKING:
    from imfuse.training.stages import Stage


class _RecipeGroup(Group):
    """Commands of a task by their names; any other first word is a recipe, as in ``imfuse train auif``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words; those of a recipe go to the command of that name."""
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["recipe", *args]
        return super().parse_args(ctx, args)


train = typer.Typer(
    cls=_RecipeGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    help="Train a fusion method by its recipe, or a network that judges fused pictures.\n\n"
    "imfuse train auif --data DIR -o RUN\n\n"
    "Where no command is named, recipe is meant; imfuse train recipe --help shows its options.",
)


@train.command()
def recipe(
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
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into sub-folders too.")] = False,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="List of pairs, CSV or JSON Lines, instead of --data."),
    ] = None,
    rig: RigOption = None,
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
        for line in "---\n".join(settings.to_yaml() for settings in stages.values()).rstrip("\n").split("\n"):
            say(line)
        return
    folders = _folders(data or [], infrared, visible, pairs)
    try:
        from imfuse.training.stages import train_stages
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("imfuse"):
            raise
        raise ImfuseError(f"training needs {error.name}: pip install 'imfuse[train]'") from error
    import torch

    from imfuse.data.pairs import find_pairs
    from imfuse.registration.rig import Rig

    if threads:
        torch.set_num_threads(threads)
    cameras = None if rig is None else Rig.read(rig)
    files = [
        replace(one, source=name)
        for name, given in folders.items()
        for one in find_pairs(*given, recursive=recursive, pairs=pairs, rig=cameras)
    ]
    places = [pairs] if pairs is not None else [first for first, _ in folders.values() if first is not None]

    def announce(stage: Stage) -> None:
        where = ", ".join(map(str, places))
        what = f"{len(files)} pairs from {where}, {stage.recipe.epochs} epochs; run in {stage.folder}"
        tell(f"{stage.name}: {'done' if stage.done else what}")

    weights = train_stages(
        stages,
        files,
        output,
        start=start,
        resume=resume,
        announce=announce,
        licence=licence,
        data_name=data_name or ", ".join(name or place.name for name, place in zip(folders, places, strict=True)),
        device=device,
        processes=processes,
        nodes=nodes,
        progress=console(stderr=True).is_terminal,
    )
    model = next(reversed(stages.values())).model
    say(f"weights: {weights}")
    say(f"log:     {weights.parent / 'log.jsonl'}")
    say(f"curve:   {weights.parent / 'curve.png'}")
    say(f"use:     imfuse fuse INFRARED VISIBLE --model {model} --weights {weights}")


train.command()(detector)
train.command()(segmenter)


def _folders(
    data: list[str], infrared: Path | None, visible: Path | None, pairs: Path | None
) -> dict[str, tuple[Path | None, Path | None]]:
    """The folders of each data set by its name; one alone needs none."""
    if pairs is not None and not data and (infrared is None) == (visible is None):
        return {"": (infrared, visible)}
    if pairs is not None:
        raise RecipeError("--pairs: a list of pairs goes alone, or with --infrared DIR and --visible DIR")
    if data and infrared is None and visible is None:
        return _named_folders(data)
    if not data and infrared is not None and visible is not None:
        return {"": (infrared, visible)}
    raise RecipeError("give the training pairs as --data DIR, as --infrared DIR with --visible DIR, or as --pairs FILE")


def _named_folders(words: list[str]) -> dict[str, tuple[Path | None, Path | None]]:
    """DIR, or NAME=DIR for each of several."""
    folders: dict[str, tuple[Path | None, Path | None]] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        # The name of a folder may hold the sign as well.
        named = bool(equals) and not Path(word).is_dir()
        folders[name if named else ""] = (Path(folder if named else word), None)
    if len(folders) < len(words) or (len(words) > 1 and "" in folders):
        raise RecipeError("--data: of several data sets each needs a name of its own, --data NAME=DIR")
    return folders
