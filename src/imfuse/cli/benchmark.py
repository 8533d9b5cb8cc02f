"""``imfuse benchmark``: models and external results on data sets, to tables, figures and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imfuse.cli._benchmark_measuring import check_weights, efficiency
from imfuse.cli._benchmark_tasks import one_data_set, reproduce_task, run_task, task_figure, task_files
from imfuse.cli._printing import console, say, warn
from imfuse.cli._rig import RigOption
from imfuse.cli._terminal import count, few, progress_bar, warn_of_failure
from imfuse.cli._words import named_paths, parse_size
from imfuse.core.errors import BenchmarkError, ImfuseError
from imfuse.core.text import printable

if TYPE_CHECKING:
    from imfuse.benchmark.results import Results

benchmark = typer.Typer(
    invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}, rich_markup_mode=None
)

_DATA, _FUSED = "tno=data/tno", "densefuse=results/densefuse"
Output = Annotated[
    Path, typer.Option("--output", "-o", help="Folder of the benchmark; run again to continue after a stop.")
]


@benchmark.callback()
def run(
    context: typer.Context,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR", help="A data set (repeatable): its folder, of a known layout, or a list of pairs."
        ),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into sub-folders of the data sets too.")] = False,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="[NAME=]MODEL[:WEIGHTS],...",
            help="Models, other weights if wanted. Default: all that ship weights or need none; none: only --fused.",
        ),
    ] = None,
    fused: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="External results: pictures, directly or in a folder for each data set (repeatable).",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Symbols with commas, such as EN,MI,VIF, or all. Default: what most papers print."),
    ] = None,
    convention: Annotated[str | None, typer.Option(help="Whose definitions. Default: plain.")] = None,
    against: Annotated[
        str | None, typer.Option(metavar="METHOD", help="Test the others against it. Default: the first.")
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(metavar="metric|data", help="Correct p over each metric, or all of a data set. Default: metric."),
    ] = None,
    range_: Annotated[
        str | None,
        typer.Option("--range", help="What of the infrared is black and white, fused and scored. Default: auto."),
    ] = None,
    rig: RigOption = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 ... Default: auto.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Number format of the networks. Default: auto.")] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="YAML", help="These settings from a file; options given here win.")
    ] = None,
    output: Output = Path("runs/benchmark"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. Default: one per core, at most 8; one on a GPU.")
    ] = None,
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True,
    task: Annotated[
        str | None,
        typer.Option(metavar="detect|segment", help="Judge pictures by what a network finds in them, beside controls."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --task: true boxes or class numbers. Default: those in the data set."),
    ] = None,
    detector: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Detector: ONNX, or of imfuse train detector. Default: one is trained for each row."
        ),
    ] = None,
    layout: Annotated[str, typer.Option(help="What the outputs of the detector mean.")] = "auto",
    protocol: Annotated[
        str, typer.Option(metavar="refinefuse|m3fd6|coco", help="Which classes are scored in detection.")
    ] = "refinefuse",
    segmenter: Annotated[
        str, typer.Option(help="Network that is trained for each row in segmentation.")
    ] = "segformer_compact",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings for each row.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 2000,
    scenes: Annotated[
        int, typer.Option(min=1, help="Rendered scenes to train on, where no data set is given; a fifth is held out.")
    ] = 200,
    size: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Of rendered scenes.")] = "320x240",
    batch: Annotated[int, typer.Option(min=2, help="Pictures in a step.")] = 8,
    crop: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="What is seen of each in training.")] = "208x160",
) -> None:
    """Fuse and score data sets by models, beside external results: tables, results.json, report.html.

    imfuse benchmark --data tno=data/tno --models auif,didfuse --fused densefuse=results/densefuse -o tno

    A stopped run continues where it was: nothing whose inputs, weights, convention and version are the same is done
    again.

    With --task detect or --task segment a table of what a network finds in the pictures of each method, and in those of
    visible and infrared alone: imfuse benchmark --task detect --data m3fd=data/m3fd --detector yolo11n.onnx -o m3fd
    """
    if context.invoked_subcommand is not None:
        return
    if task is not None:
        from imfuse.benchmark.plan import parse_models

        _refuse(metrics=metrics, convention=convention, family=family, range=range_, dtype=dtype, config=config)
        _refuse(workers=workers, recursive=recursive or None, rig=rig)
        run_task(
            {
                "task": task,
                "models": parse_models(models or "all"),
                "data": one_data_set(named_paths(data, "--data", _DATA) if data else None),
                "fused": named_paths(fused, "--fused", _FUSED) if fused else {},
                "labels": labels,
                "detector": detector,
                "layout": layout,
                "protocol": protocol,
                "segmenter": segmenter,
                "seeds": seeds,
                "steps": steps,
                "scenes": scenes,
                "size": parse_size(size, "size"),
                "batch": batch,
                "crop": parse_size(crop, "crop"),
                "against": against or "visible",
                "device": device or "auto",
            },
            output,
            report=report,
        )
        return
    for flag, value in (("--labels", labels), ("--detector", detector)):
        if value is not None:
            raise BenchmarkError(f"{flag} {printable(value)}: of a task, --task detect or --task segment")
    from imfuse.benchmark.plan import make_plan

    settings = _settings(
        config,
        data=named_paths(data, "--data", _DATA) if data else None,
        fused=named_paths(fused, "--fused", _FUSED) if fused else None,
        recursive=recursive or None,
        models=models,
        metrics=metrics,
        convention=convention,
        against=against,
        family=family,
        range=range_,
        rig=rig,
        device=device,
        dtype=dtype,
    )
    plan = make_plan(settings)
    if report:
        _check_report()
    # Torch takes seconds to import: what is wrong with the command line comes first.
    from imfuse.benchmark.runner import run_benchmark

    with progress_bar() as progress:
        results = run_benchmark(plan, output, workers=workers, progress=progress)
    results.write(output / "results.json")
    _print_what_is_wrong(results)
    _print_tables(results)
    for file in (output / "results.json", *_write(results, output, output, report=report)):
        say(file)
    if not results.complete:
        raise typer.Exit(1)


def _refuse(**settings: object) -> None:
    """Raise ``BenchmarkError`` for settings that scores of pictures have, and a task has not."""
    for name, value in settings.items():
        if value is not None:
            shown = value if isinstance(value, int) else str(value)
            raise BenchmarkError(f"{name}={shown!r}: of scores of pictures, not of a task")


def _settings(config: Path | None, **options: Any) -> dict[str, Any]:
    """Those of a file, replaced by those of the command line."""
    from imfuse.benchmark.plan import read_settings

    settings = read_settings(config) if config else {}
    settings |= {name: value for name, value in options.items() if value is not None}
    if not settings.get("data"):
        raise typer.BadParameter("give a data set, such as --data tno=data/tno, or --config FILE")
    return settings


def _check_report() -> None:
    from imfuse.benchmark.report import check_report

    try:
        check_report()
    except ImfuseError as error:
        raise ImfuseError(error.message, *error.advice, "or leave the report out (--no-report)") from None


def _print_tables(results: Results) -> None:
    from imfuse.benchmark.table import caption, tables_of
    from imfuse.cli._benchmark_tables import ranks_and_notes
    from imfuse.cli._score_tables import print_scores

    terminal = console()
    for table in tables_of(results):
        say("")
        terminal.print(printable(caption(table)), style="bold")
        print_scores(table.scores, terminal, {method: table.mark(method) for method in table.scores.methods})
        terminal.print(ranks_and_notes(table))


def _write(results: Results, folder: Path, output: Path, *, report: bool) -> list[Path]:
    """Write tables, and the report with pictures from the folder of the results; returns the files."""
    from imfuse.benchmark.report import write_report
    from imfuse.benchmark.tables import write_tables

    files = write_tables(results, output)
    if report and any(map(results.methods_on, results.data)):
        files.append(write_report(results, folder, output))
    return files


def _print_what_is_wrong(results: Results) -> None:
    """One line on the standard error output for each kind of thing that has no scores."""
    for name, data in results.data.items():
        for side, files in (("infrared", data.unmatched_infrared), ("visible", data.unmatched_visible)):
            if files:
                warn(f"{count(len(files), f'{side} picture')} without a partner: {few(tuple(files))}", name)
        for method, pairs in data.missing.items():
            if pairs:
                warn(f"{count(len(pairs), 'pair')} without a fused picture: {few(tuple(pairs))}", name, method)
        for method, files in data.unmatched.items():
            if files:
                warn(f"{count(len(files), 'picture')} without a pair: {few(tuple(files))}", name, method)
        for method, reasons in data.failed.items():
            for pair, reason in reasons.items():
                warn_of_failure(reason, name, method, pair)


@benchmark.command()
def figure(
    folder: Annotated[Path, typer.Argument(help="Folder of a benchmark that ran.", show_default=False)],
    pair: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[DATA/]NAME[@X,Y[,SIZE]]...",
            help="A row, with what to magnify as parts of the picture (repeatable). Default: the first three pairs.",
        ),
    ] = None,
    methods: Annotated[str | None, typer.Option(help="Columns, with commas. Default: all methods.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The files without extension. Default: FOLDER/figure.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="detect|segment", help="What a network found, as PNG; NAMEs are those of kept pictures."),
    ] = None,
) -> None:
    """Write the grid that papers print as PNG and PDF: rows are pairs, columns methods, with magnified details.

    With --task detect: boxes over the picture of each method, right, false and missed ones.
    """
    if task is not None:
        say(task_figure(_place(folder), task, pair or [], output))
        return
    from imfuse.benchmark.figure import Row, parse_row, write_figure
    from imfuse.benchmark.results import read_results

    results = read_results(folder)
    data = next(iter(results.data))
    rows = [parse_row(text, results) for text in pair or ()]
    rows = rows or [Row(data, name) for name in list(results.data[data].pairs)[:3]]
    columns = [word.strip() for word in methods.split(",")] if methods else []
    place = _place(folder)
    for file in write_figure(results, place, rows, columns, output or place / "figure"):
        say(file)


@benchmark.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a benchmark that ran.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the tables and the report. Default: FOLDER.")
    ] = None,
    task: Annotated[str | None, typer.Option(metavar="detect|segment", help="Those of a task, from its JSON.")] = None,
) -> None:
    """Write tables and report.html of a benchmark again, from its results.json."""
    if task is not None:
        for file in task_files(_place(folder), task, output):
            say(file)
        return
    from imfuse.benchmark.results import read_results

    place = _place(folder)
    for file in _write(read_results(folder), place, output or place, report=True):
        say(file)


def _place(folder: Path) -> Path:
    """The folder of a benchmark, which may be given by its results.json."""
    return folder if folder.is_dir() else folder.parent


@benchmark.command()
def reproduce(
    name: Annotated[
        str | None, typer.Argument(help="A published table, such as refinefuse-tno; none: list them.")
    ] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="The data set of the table.")] = None,
    models: Annotated[
        str | None,
        typer.Option(metavar="[NAME=]MODEL[:WEIGHTS],...", help="Models. Default: all that ship weights or need none."),
    ] = None,
    fused: Annotated[list[str] | None, typer.Option(metavar="NAME=DIR", help="External results (repeatable).")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    output: Output = Path("runs/reproduce"),
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    detector: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of a table of detection: a detector. Default: one is trained for each row."),
    ] = None,
) -> None:
    """Score a published table's data set under its convention and print printed, ours and difference.

    imfuse benchmark reproduce refinefuse-tno --data data/tno --fused DenseFuse=results/densefuse

    Without --data the printed numbers alone, and where they come from.
    """
    from imfuse.benchmark.published import get_published, list_published, list_published_tasks
    from imfuse.cli._benchmark_tables import print_published, print_reproduction

    if name is None:
        print_published([get_published(one) for one in list_published()])
        return
    if name in list_published_tasks():
        reproduce_task(
            name, data, models or "all", named_paths(fused or [], "--fused", _FUSED), detector, device, output
        )
        return
    table = get_published(name)
    if data is None:
        print_reproduction(table, None)
        return
    from imfuse.benchmark.plan import make_plan
    from imfuse.benchmark.reproduce import markdown

    settings: dict[str, Any] = {"data": {table.data: data}, "models": models or "all"}
    settings |= {
        "fused": named_paths(fused or [], "--fused", _FUSED),
        "convention": table.convention,
        "metrics": table.compared,
    }
    plan = make_plan(settings)
    from imfuse.benchmark.runner import run_benchmark
    from imfuse.imaging import write_file

    with progress_bar() as progress:
        results = run_benchmark(plan, output, workers=workers, progress=progress)
    results.write(output / "results.json")
    _print_what_is_wrong(results)
    print_reproduction(table, results)
    write_file(output / "reproduce.md", markdown(table, results).encode(), through_links=False)
    say(output / "reproduce.md")
    if not results.complete:
        raise typer.Exit(1)


benchmark.command()(efficiency)
benchmark.command("check-weights")(check_weights)
