"""``imfuse score``: how good fused pictures are, in numbers that say what they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imfuse.cli._printing import say, warn
from imfuse.cli._reading import (
    AmbientOption,
    DistanceOption,
    EmissivityOption,
    FrameOption,
    HumidityOption,
    ReflectedOption,
    SliceOption,
    UnitsOption,
    WindowOption,
    conditions_of,
)
from imfuse.cli._rig import RigOption
from imfuse.cli._sequence import score_frames
from imfuse.cli._sources import PairsOption, RecursiveOption
from imfuse.cli._terminal import are_folders, count, few, progress_bar, warn_of_failure
from imfuse.cli._words import named_paths
from imfuse.core.errors import ImageError, MetricError, PairError

if TYPE_CHECKING:
    from imfuse.scoring.scores import Scores

_EXAMPLE = "densefuse=results/densefuse"


def score(
    pictures: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FUSED] INFRARED VISIBLE",
            help="Three files, or three folders whose files belong together by name. No FUSED with --fused.",
            show_default=False,
        ),
    ] = None,
    fused: Annotated[
        list[str] | None,
        typer.Option("--fused", metavar="NAME=PATH ...", help="Results of several methods, to compare them."),
    ] = None,
    sequence: Annotated[
        bool,
        typer.Option(
            "--sequence", help="Folders, or videos, are frames in order: measure flicker, pumping, consistency."
        ),
    ] = False,
    recursive: RecursiveOption = False,
    pairs: PairsOption = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Symbols with commas, such as EN,MI,VIF, or all. Default: what most papers print."),
    ] = None,
    convention: Annotated[
        str, typer.Option(help="Whose definitions: only numbers under the same one compare.")
    ] = "plain",
    csv: Annotated[Path | None, typer.Option(help="Write the values, one line per picture.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write values, statistics and definitions.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page of a --sequence: its frames in step, and curves.")
    ] = None,
    range_: Annotated[
        str | None,
        typer.Option("--range", help="What of the infrared is black and white. Default: what it was fused by."),
    ] = None,
    visible_range: Annotated[str | None, typer.Option(help="The same for the visible picture.")] = None,
    rig: RigOption = None,
    units: UnitsOption = "auto",
    frame: FrameOption = None,
    slice_: SliceOption = None,
    window: WindowOption = None,
    emissivity: EmissivityOption = None,
    distance: DistanceOption = None,
    reflected: ReflectedOption = None,
    ambient: AmbientOption = None,
    humidity: HumidityOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Pairs that are scored at a time. Default: one per core, at most 8.")
    ] = None,
    max_megapixels: Annotated[float, typer.Option(min=0, help="Largest picture that is read.")] = 100.0,
) -> None:
    """Score a fused picture against its two sources, or a folder of them, or those of several methods.

    imfuse score fused/ infrared/ visible/ --csv scores.csv

    imfuse score --fused ours=fused/ --fused theirs=other/ infrared/ visible/ --metrics all

    imfuse score --sequence fused/ infrared/ visible/ --csv curves.csv
    """
    methods, infrared, visible = _sort_out(pictures or [], fused or [], pairs)
    folders = _are_folders(methods, infrared, visible, pairs, recursive)
    methods = {name or _name_of(path, folders): path for name, path in methods.items()}
    for target in (csv, json, html):
        if target is not None and target.is_dir():
            raise ImageError(f"{target}: is a folder, the name of a file to write is expected")
        if target is not None and target.exists() and any(target.samefile(path) for path in pictures or ()):
            raise ImageError(f"{target}: is one of the pictures that are scored", "choose another name")
    if sequence:
        of_pictures: dict[str, object] = {
            "--pairs": pairs,
            "--metrics": metrics,
            "--recursive": recursive or None,
            "--workers": workers,
        }
        of_pictures |= {"--convention": None if convention == "plain" else convention}
        of_pictures |= {"--units": None if units == "auto" else units, "--frame": frame, "--slice": slice_}
        of_pictures |= {"--window": window, "--emissivity": emissivity, "--distance": distance}
        of_pictures |= {"--reflected": reflected, "--ambient": ambient, "--humidity": humidity}
        if not_taken := [flag for flag, given in of_pictures.items() if given is not None]:
            raise MetricError(f"{not_taken[0]}: is not of a sequence", "score its frames without --sequence as well")
        if infrared is None or visible is None:
            raise PairError("--sequence: infrared and visible frames are expected")
        if html is not None and not folders:
            raise MetricError("--html: shows folders of frames, and videos were given", "write --csv or --json")
        score_frames(
            methods,
            infrared,
            visible,
            csv,
            json,
            html,
            range=range_,
            visible_range=visible_range,
            rig=rig,
            max_pixels=round(max_megapixels * 1e6),
        )
        return
    if html is not None:
        raise MetricError("--html: is of a sequence", "add --sequence, or write --csv or --json")
    # Torch takes seconds to import: what is wrong with the command line comes first.
    from imfuse.imaging import View
    from imfuse.scoring.files import score_files, score_folders

    settings: dict[str, Any] = {"metrics": metrics, "convention": convention, "range": range_}
    settings |= {"visible_range": visible_range, "max_pixels": round(max_megapixels * 1e6), "rig": rig}
    conditions = conditions_of(emissivity, distance, reflected, ambient, humidity)
    settings["view"] = View(frame, slice_, window, units, conditions)
    if folders:
        with progress_bar() as progress:
            settings |= {"recursive": recursive, "pairs": pairs, "workers": workers}
            scores = score_folders(methods, infrared, visible, progress=progress, **settings)
    else:
        assert infrared is not None
        assert visible is not None
        scores = score_files(methods, infrared, visible, **settings)
    _print_what_is_wrong(scores)
    if scores.rows:
        from imfuse.cli._score_tables import print_scores

        print_scores(scores)
    for target, write in ((csv, scores.to_csv), (json, scores.to_json)):
        if target is not None:
            write(target)
            say(f"{target}: {count(len(scores.rows), 'picture')}")
    if not scores.complete:
        raise typer.Exit(1)


def _are_folders(
    methods: dict[str, Path], infrared: Path | None, visible: Path | None, pairs: Path | None, recursive: bool
) -> bool:
    """Whether folders are scored. Raises ``PairError`` where an option is of folders and files are given."""
    folders = are_folders(*methods.values(), *(path for path in (infrared, visible) if path is not None))
    for flag, wanted in (("--pairs", pairs is not None), ("--recursive", recursive)):
        if wanted and not folders:
            raise PairError(f"{flag}: of folders; files were given")
    return folders


def _sort_out(
    words: list[Path], named: list[str], pairs: Path | None
) -> tuple[dict[str, Path], Path | None, Path | None]:
    """Fused pictures by name, infrared, visible. One --fused may be followed by more NAME=PATH.

    With a list of pairs, the folders of infrared and visible pictures may be left out.
    """
    if pairs is not None and not named and len(words) == 1:
        return {"": words[0]}, None, None
    if pairs is not None and named and all("=" in str(word) for word in words):
        return named_paths([*named, *map(str, words)], "--fused", _EXAMPLE), None, None
    if not named:
        if len(words) != 3:
            raise MetricError(f"FUSED INFRARED VISIBLE are expected, found {count(len(words), 'path')}")
        return {"": words[0]}, words[1], words[2]
    more = words[: max(0, len(words) - 2)]
    if len(words) < 2 or any("=" not in str(word) for word in more):
        raise MetricError(
            f"INFRARED VISIBLE are expected beside --fused NAME=PATH, found {count(len(words), 'path')}: "
            f"{' '.join(map(str, words))}"
        )
    methods = named_paths([*named, *map(str, more)], "--fused", _EXAMPLE)
    return methods, words[-2], words[-1]


def _name_of(path: Path, folder: bool) -> str:
    return (path.resolve().name if folder else path.stem) or "fused"


def _print_what_is_wrong(scores: Scores) -> None:
    """One line on the standard error output for each kind of thing that could not be scored."""
    for side, names in (("infrared", scores.unmatched_infrared), ("visible", scores.unmatched_visible)):
        if names:
            warn(f"{count(len(names), f'{side} picture')} without a partner: {few(names)}")
    for method in scores.methods:
        if missing := scores.missing.get(method, ()):
            warn(f"{count(len(missing), 'pair')} without a fused picture: {few(missing)}", method)
        if unmatched := scores.unmatched.get(method, ()):
            warn(f"{count(len(unmatched), 'picture')} without a pair: {few(unmatched)}", method)
    for failure in scores.failed:
        warn_of_failure(failure.message, failure.method, failure.image)
