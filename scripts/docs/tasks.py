"""Write ``docs/tasks.md``: what networks find in the pictures of every method, and in those of one camera alone.

``python -m scripts.docs.tasks --shared DIR --detector FILE -o docs/tasks.md`` runs the benchmarks in ``--work``, where
a stopped run continues, and writes the page. DIR holds ``data/m3fd_sample``; FILE is an ONNX file of a detector.
``--models auif,sdnet --seeds 1 --steps 20`` is a try: its numbers say nothing.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from imfuse.benchmark.complexity import count
from imfuse.benchmark.plan import parse_models
from imfuse.benchmark.published import get_published_task
from imfuse.benchmark.routes import HEAD, Part, route_notes, route_rows, routes_of
from imfuse.benchmark.tasks.plan import TaskPlan
from imfuse.benchmark.tasks.reproduce import markdown as beside
from imfuse.benchmark.tasks.results import TaskResults
from imfuse.benchmark.tasks.run import run_task_benchmark
from imfuse.benchmark.tasks.tables import markdown
from imfuse.benchmark.tasks.views import write_task_figure
from imfuse.core.registry import get_spec
from imfuse.fusing.folder import Progress
from imfuse.imaging import read_image, write_file

PARTS = ("detector", "detectors", "segmenters")
SEGMENTER, SIZE = "segformer_compact", (640, 480)
INTRODUCTION = (
    "# What tasks gain from fusion",
    "",
    "Printed by `python -m scripts.docs.tasks --shared DIR --detector FILE -o docs/tasks.md{words}`; each part is one"
    " command, which it names. How they work: [Benchmark](guide/benchmark.md#tasks).",
    "",
    "## How to read this page",
    "",
    "- **Controls.** Every table has the visible and the infrared picture alone and their mean; where a network is"
    " trained, also both stacked as four channels, and in segmentation two encoders whose features are added. A method"
    " that does not beat these gains nothing for the task.",
    "- **Intervals.** Two rows may be called different only where no interval of their difference contains 0: the"
    " bootstrap interval over pictures and, where networks are trained, Student's interval over seeds. With three seeds"
    " the latter is wide, 4.3 standard errors; of many comparisons a few survive by chance: nothing is corrected.",
    "- **Few pairs.** The sample of M3FD has 10 pairs and 2 buses: whatever is said of buses is said of two. The"
    " detector is taken as it is, trained on colour photographs, which favours whatever looks like them.",
    "- **Rendered scenes.** They have labels that are true, and people who are warmer than what is around them. Real"
    " scenes have less of this; rows say how methods compare here, not what they score elsewhere.",
    "- **Small networks, short trainings.** Differences between methods may shrink with more training, or grow.",
    "- **Labels.** Methods marked * were trained with class labels, which the others were not; those of"
    " `psfusion_compact` are of rendered scenes like these, if of other ones.",
)


def verdict(results: TaskResults) -> Iterator[str]:
    """What the table shows, in lines that follow from its numbers."""
    name = results.headlines[0]
    values = {row: one.measures[name].value or 0 for row, one in results.rows.items()}
    best = max(values, key=lambda row: values[row])
    yield f"- Highest {name}: {best}, {values[best]:.3f} ({results.rows[best].kind})."
    methods = [row for row, one in results.rows.items() if one.kind in ("method", "pictures")]
    for control in (row for row, one in results.rows.items() if one.kind in ("control", "features")):
        gains = [results.rows[row].measures[name].differences[control] for row in methods]
        better, worse = (sum(one.survives and sign * (one.value or 0) > 0 for one in gains) for sign in (1, -1))
        above = sum((one.value or 0) > 0 for one in gains)
        yield (
            f"- Against {control}: {above} of {len(methods)} methods score higher; in all intervals {better} are"
            f" better, {worse} worse, {len(methods) - better - worse} are not told apart."
        )
    single = max(("visible", "infrared"), key=lambda row: values[row])
    higher = [row for row in methods if values[row] > values[single]]
    words = "no method scores higher" if not higher else f"{len(higher)} of {len(methods)} methods score higher"
    yield f"- The better camera alone is {single}: {words}."


def part_of(title: str, command: str, results: TaskResults, work: Path, images: Path) -> list[str]:
    """A section: command, what follows from the table, the table, and of boxes a picture."""
    picture = images / f"tasks_{work.name}.jpg"
    text = [f"## {title}", "", f"`{command}`", "", *verdict(results), "", markdown(results, 3)]
    if results.task == "detect":
        drawn = write_task_figure(results, work, work / "figure.png", [results.views[0].name])
        content = io.BytesIO()
        Image.fromarray(read_image(drawn)[..., :3]).save(content, "JPEG", quality=85)
        write_file(picture, content.getvalue())
        text += [f"![{title}](images/{picture.name})", ""]
    return text


def costs() -> Iterator[str]:
    """Parameters and MACs of every route; times are of a machine, and are left to the command."""
    width, height = SIZE
    learned = [entry for entry in parse_models("all") if not get_spec(entry.model).training_free]
    fusions = [
        (one.label, width, height, Part(count(one.model, height, width, **one.options), None)) for one in learned
    ]
    routes = list(routes_of([SEGMENTER], fusions, device="cpu", threads=1, seconds=None))
    head = HEAD[:-3]
    yield "## Cost of both routes"
    yield ""
    yield f"`imfuse benchmark efficiency --sizes {width}x{height} --segmenters {SEGMENTER}` measures times as well."
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"| --- | --- | {' | '.join(['---:'] * (len(head) - 2))} |"
    yield from (f"| {' | '.join(row[:-3])} |" for row in route_rows(routes))
    yield ""
    streams = next(route for route in routes if "fused features" in route.system)
    dearer = sum(route.fusion is not None and route.totals[1] > streams.totals[1] for route in routes)
    yield (
        f"Two streams with fused features take fewer MACs than {dearer} of the {len(fusions)} learned methods with the"
        " same segmenter behind them: fusing pictures first is not cheaper by itself."
    )
    yield ""
    yield from (f"- {note}" for note in route_notes())
    yield ""


def main() -> int:
    """Run the parts, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/m3fd_sample")
    parser.add_argument("--detector", type=Path, required=True, help="ONNX file of a detector")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the Markdown file")
    parser.add_argument("--work", type=Path, default=Path("runs/tasks"), help="folder of the benchmarks")
    parser.add_argument("--models", default="all", help="methods with commas; all that ship weights or need none")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each row")
    parser.add_argument("--steps", type=int, default=2000, help="steps of each training")
    parser.add_argument("--scenes", type=int, default=200, help="rendered scenes to train on")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="sections; all where left out")
    args = parser.parse_args()

    def report(step: Progress) -> None:
        print(f"{step.done} of {step.total} {step.name}", file=sys.stderr)

    models, images, text = parse_models(args.models), args.output.parent / "images", list(INTRODUCTION)
    budget: dict[str, Any] = {"seeds": args.seeds, "steps": args.steps, "scenes": args.scenes}
    chosen = "" if args.models == "all" else f" --models {args.models}"
    words = f"--seeds {args.seeds} --steps {args.steps} --scenes {args.scenes}"
    text[2] = text[2].format(words=f" --steps {args.steps}")
    plans = {
        "detector": (
            "Detection by a detector as it is",
            f"imfuse benchmark --task detect --data m3fd=DIR/data/m3fd_sample --detector {args.detector.name}{chosen}",
            TaskPlan("detect", models, ("m3fd", args.shared / "data" / "m3fd_sample"), detector=args.detector),
        ),
        "detectors": (
            "Detection by networks that are trained for each method",
            f"imfuse benchmark --task detect{chosen} {words}",
            TaskPlan("detect", models, **budget),
        ),
        "segmenters": (
            "Segmentation by networks that are trained for each method",
            f"imfuse benchmark --task segment{chosen} {words}",
            TaskPlan("segment", models, segmenter=SEGMENTER, **budget),
        ),
    }
    for name in args.parts:
        title, command, plan = plans[name]
        results = run_task_benchmark(plan, args.work / name, progress=report)
        results.write(args.work / name)
        text += ["", *part_of(title, command, results, args.work / name, images)]
        if name == "detector":
            text += [beside(get_published_task("refinefuse-detection"), results)]
    text += ["", *costs()]
    write_file(args.output, "\n".join(text).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
