"""Write ``docs/results.md``: every method that is ready, and authors' weights where there are any, on the test sets.

``python -m scripts.docs.results --shared DIR -o docs/results.md --work FOLDER`` runs the benchmark in FOLDER, where a
stopped run continues, and leaves its report there. DIR holds ``data``, ``official/<model>/checkpoints`` and
``truth/fused``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image
from scripts.authors import entries

from imfuse.benchmark.figure import Row, write_figure
from imfuse.benchmark.light import tables_by_light
from imfuse.benchmark.plan import Plan, make_plan
from imfuse.benchmark.report import write_report
from imfuse.benchmark.results import Results
from imfuse.benchmark.runner import run_benchmark
from imfuse.benchmark.table import tables_of
from imfuse.benchmark.tables import markdown, markdown_beside, write_tables
from imfuse.core.registry import get_spec, list_models
from imfuse.fusing.folder import Progress
from imfuse.imaging import write_file
from imfuse.imaging.light import NIGHT

SETS = {
    "tno": "tno",
    "roadscene": "roadscene",
    "msrs": "msrs_sample",
    "m3fd": "m3fd_sample",
    "mri_ct": "medical/mri_ct",
    "mri_pet": "medical/mri_pet",
    "mri_spect": "medical/mri_spect",
}
# Chosen for people, lamps and sky before there was any result.
ROWS = (
    *(("tno", name) for name in ("01", "25")),
    *(("roadscene", number) for number in (7, 21)),
    *(("msrs", number) for number in (1, 4)),
    ("m3fd", 2),
)
FIGURE_WIDTH = 1600
# All methods side by side would be too small to see.
FIGURES = {
    "results.jpg": ("auif", "didfuse", "psfusion_compact", "refinefuse", "transfusion_compact"),
    "results_rivals.jpg": ("densefuse", "lrrnet", "sdnet", "seafusion", "u2fusion"),
}
CONVENTION = "refinefuse"


def plan_of(shared: Path, work: Path, sets: Sequence[str], only: Sequence[str] = ()) -> Plan:
    """All methods that are ready, those whose authors' checkpoints are at hand once more, and published pictures.

    ``only``: these methods alone.
    """
    data = {name: shared / "data" / folder for name, folder in SETS.items() if name in sets}
    if only:
        return make_plan({"data": data, "models": list(only), "convention": CONVENTION, "against": only[0]})
    ready = (name for name in list_models() if get_spec(name).weights or get_spec(name).training_free)
    models: list[dict[str, object]] = [{"model": name} for name in ready]
    models += entries(shared, work / "weights")
    published = sorted((shared / "truth" / "fused").glob("*/"))
    fused = {f"{folder.name} (published)": {"tno": folder} for folder in published}
    return make_plan(
        {"data": data, "models": models, "fused": fused, "convention": CONVENTION, "against": "refinefuse"}
    )


def draw(
    results: Results, work: Path, pairs: Sequence[tuple[str, str | int]], models: Sequence[str], target: Path
) -> None:
    """The figure of some pairs, by name or number, as a picture for a page."""
    rows = []
    for data, pair in pairs:
        names = list(results.data[data].pairs)
        rows.append(Row(data, names[pair] if isinstance(pair, int) else pair))
    png, _ = write_figure(results, work, rows, models, work / "figure")
    with Image.open(png) as image:
        picture = image.convert("RGB")
    picture.thumbnail((FIGURE_WIDTH, 10 * FIGURE_WIDTH), Image.Resampling.LANCZOS)
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, quality=88)


def day_and_night(results: Results, work: Path) -> list[str]:
    """Day and night of every set that shows both, beside each other."""
    parts = [tables_by_light(results, data, work) for data in results.data if results.methods_on(data)]
    return [markdown_beside(tables, level=3) for tables in parts if tables]


def page_of(results: Results, work: Path, command: str, figures: Iterable[str]) -> str:
    """The page as Markdown; ``command`` prints it, with these figures."""
    convention, environment = results.convention.name, results.environment
    made = f"imfuse {results.imfuse}, torch {environment['torch']}, {environment['device']}, {results.date[:10]}"
    return "\n".join([
        "# Results",
        "",
        f"Printed by `{command}`, which runs [`imfuse benchmark`](guide/benchmark.md).",
        f"Means over the pairs of each set under the convention `{convention}`; see [Metrics](metrics.md). **Bold** is"
        " best, underlined second; `rank` is the mean rank over pairs and metrics.",
        "A model alone has the weights that ship (†), if it has any; *(authors)* has its authors' published checkpoint,"
        " run through this library; *(published)* are pictures that others published. Rows with † are no results of the"
        " published methods.",
        "MSRS is a sample of 17 of its 361 test pairs, M3FD one of 10. [RefineFuse beside its article]"
        "(results_refinefuse.md) has its tables.",
        "Scans are MRI with CT, PET and SPECT: infrared is CT with CT, else MRI. The weights"
        " of this page were not trained on scans; those of `refinefuse --weights medical` were.",
        "",
        *(f"![Infrared, visible and fused pictures](images/{name})" for name in figures),
        "",
        "## Day and night",
        "",
        "Of every set that shows both, beside each other: a pair is of the night where the mean luminance of its"
        f" visible picture is below {NIGHT:g} of white.",
        "",
        *day_and_night(results, work),
        *(markdown(table) for table in tables_of(results)),
        f"Made by {made}.",
        "",
    ])  # fmt: skip


def main() -> int:
    """Run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/, official/ and truth/")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the Markdown file")
    parser.add_argument("--work", type=Path, default=Path("runs/results"), help="folder of the benchmark")
    parser.add_argument("--workers", type=int, help="processes; as many as processors where left out")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), help="data sets; all where left out")
    parser.add_argument("--models", nargs="+", default=[], help="these alone, to try: no authors' weights, no figures")
    args = parser.parse_args()

    def report(step: Progress) -> None:
        print(f"{step.done} of {step.total} {step.name}", file=sys.stderr)

    results = run_benchmark(
        plan_of(args.shared, args.work, args.sets, args.models), args.work, workers=args.workers, progress=report
    )
    results.write(args.work / "results.json")
    write_tables(results, args.work)
    write_report(results, args.work)
    command = f"python -m scripts.docs.results --shared DIR -o docs/{args.output.name}"
    command += "" if len(args.sets) == len(SETS) else f" --sets {' '.join(args.sets)}"
    command += f" --models {' '.join(args.models)}" if args.models else ""
    rows = [row for row in ROWS if row[0] in args.sets]
    figures = {} if args.models else FIGURES
    for name, models in figures.items():
        draw(results, args.work, rows, models, args.output.parent / "images" / name)
    write_file(args.output, page_of(results, args.work, command, figures).encode())
    return 0 if results.complete else 1


if __name__ == "__main__":
    sys.exit(main())
