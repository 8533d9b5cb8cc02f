"""Write ``docs/results_refinefuse.md``: the tables of the RefineFuse article beside what this library computes.

RefineFuse has the weights that ship; methods to compare with have those of their authors, where they are at hand.

``python -m scripts.docs.article --shared DIR -o docs/results_refinefuse.md --work FOLDER`` runs the benchmark under the
convention ``refinefuse`` in FOLDER, where a stopped run continues. DIR holds ``data`` and ``official``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.authors import entries
from scripts.docs.results import draw

from imfuse.benchmark.complexity import COUNTED, count
from imfuse.benchmark.plan import make_plan
from imfuse.benchmark.published import get_published, read_rows
from imfuse.benchmark.reproduce import markdown
from imfuse.benchmark.runner import run_benchmark
from imfuse.benchmark.table import Table
from imfuse.benchmark.tables import markdown as markdown_of
from imfuse.core.registry import get_spec, list_models
from imfuse.fusing.folder import Progress
from imfuse.imaging import write_file

METRICS = ["VIF", "AG", "SCD", "Qabf", "SF", "EN", "SSIM"]
SCENES = {"tno": "tno", "roadscene": "roadscene", "msrs": "msrs_sample", "m3fd": "m3fd_sample"}
SCANS = {"mri_ct": "medical/mri_ct", "mri_pet": "medical/mri_pet", "mri_spect": "medical/mri_spect"}
TABLES = ("refinefuse-tno", "refinefuse-msrs", "refinefuse-m3fd")
SCAN_TABLES = ("refinefuse-mri-ct", "refinefuse-mri-pet", "refinefuse-mri-spect")
SCAN_ROWS = [(data, number) for data in SCANS for number in (2, 7, 12)]

RIVALS = {"densefuse", "lrrnet", "sdnet", "seafusion", "u2fusion"}
DIFFERENCES = (
    "Where the pictures are the same, so are the numbers: MST, DenseFuse, U2Fusion, SDNet and SeAFusion on TNO agree"
    " with the printed rows. Why other rows differ:",
    "",
    "- MSRS and M3FD: ours are samples, of 17 of 361 and of 10 pairs.",
    "- MST on MSRS and M3FD is further from the printed rows than that explains (VIF by a quarter), as if its"
    " parameters were others than on TNO; neither these nor the method's own (`te_mst` in [Results](results.md)) give"
    " them.",
    "- LRRNet: with truncated levels (`output=stretch-cut`) 16 of 17 pictures of TNO that its authors published are"
    " those of this checkpoint, so the article's numbers must come from other settings or another file.",
    "- Scans: the pairs of the article are not named; ours are others. Which image is the first, and whether the"
    " network is the one trained on scans, it does not say either.",
)
CONVENTIONS = {
    "DenseFuse": "the three-channel network of its PyTorch code: two encodings, one decoding",
    "U2Fusion": "a multiplication and an addition are two; biases and activations count",
    "RFN-Nest": "and one operation for each enlarged value",
    "SDNet": "the same as U2Fusion's, with the decomposition, which fuses nothing",
    "SwinFusion": "attention products do not count, norms and softmax do; parameters without position tables",
    "CDDFuse": "attention products do not count; parameters with the encoder twice, without norms",
    "EMMA": "attention products do not count, transposed convolutions four times",
    "RefineFuse": "attention products do not count; 12.73 must be a misprint of 12.03, a quarter of 48.11",
}
"""How the printed numbers are counted where that is not as ours are."""


def cost() -> list[str]:
    """Table 11, but for times: printed and counted."""
    lines = [
        "| method | FLOPs 256x256, printed | G MACs | FLOPs 512x512, printed | G MACs | M parameters, printed | counted"
        " | printed FLOPs are MACs, but |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    models = {get_spec(name).title: name for name in list_models()}
    for method, row in read_rows("refinefuse-cost").items():
        if method not in models:
            continue
        small, large = (count(models[method], side, side) for side in (256, 512))
        words = [method, row["FLOPs (G) 256x256"], f"{small.macs / 1e9:.2f}", row["FLOPs (G) 512x512"]]
        words += [f"{large.macs / 1e9:.2f}", row["Params (M)"], f"{small.parameters / 1e6:.2f}"]
        lines.append(f"| {' | '.join(words)} | {CONVENTIONS.get(method, '')} |")
    note = f"- MACs: multiply-accumulates of one pair in {COUNTED}. Times depend on the machine: see [Speed](speed.md)."
    source = f"- Table 11 of {get_published('refinefuse-tno').cite}"
    return [*lines, "", note, source]


def main() -> int:
    """Run both parts, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/ and official/")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the Markdown file")
    parser.add_argument("--work", type=Path, default=Path("runs/article"), help="folder of the benchmarks")
    parser.add_argument("--workers", type=int, help="processes; as many as processors where left out")
    args = parser.parse_args()

    def report(step: Progress) -> None:
        print(f"{step.done} of {step.total} {step.name}", file=sys.stderr)

    mst = {"model": "te_mst", "options": {"preset": "refinefuse", "mode": "faithful"}, "name": "MST"}
    rivals = [entry for entry in entries(args.shared, args.work / "weights") if entry["model"] in RIVALS]
    medical = {"model": "refinefuse", "weights": "medical", "name": "refinefuse (medical)"}
    parts = []
    for name, sets, ours in (("scenes", SCENES, []), ("scans", SCANS, [medical])):
        models = [mst, *rivals, {"model": "refinefuse"}, *ours]
        data = {key: args.shared / "data" / folder for key, folder in sets.items()}
        settings = {"convention": "refinefuse", "metrics": METRICS, "against": "refinefuse"}
        plan = make_plan({"data": data, "models": models, **settings})
        parts.append(run_benchmark(plan, args.work / name, workers=args.workers, progress=report))
    scenes, scans = parts
    picture = args.output.parent / "images" / "results_scans.jpg"
    draw(scans, args.work / "scans", SCAN_ROWS, list(scans.methods), picture)
    text = [
        "# RefineFuse beside its article",
        "",
        "Printed by `python -m scripts.docs.article --shared DIR -o docs/results_refinefuse.md`.",
        "Means under the convention `refinefuse`. *ours* of RefineFuse are the weights that ship: the article's are not"
        " public; its row is of a network trained on MSRS, ours of this reconstruction, trained on RoadScene, whose"
        " objective has terms that resemble VIF, SCD and SSIM, so look at the [pictures](results.md) too. *ours* of"
        " others is MST with the article's parameters, or the authors' checkpoint run through this library with the"
        " options of their published pictures; rows without *ours* are methods whose checkpoints were not at hand.",
        "",
        *DIFFERENCES,
        "",
        *(markdown(get_published(name), scenes) for name in TABLES),
        "The article has no table of RoadScene; its 40 test pairs:",
        "",
        markdown_of(Table.of(scenes, "roadscene")),
        "## Scans",
        "",
        "MRI with CT, PET or SPECT: infrared is CT with CT, else MRI. The default weights have seen no scan,"
        " *(medical)* are trained on other pairs of MRI with PET and SPECT.",
        "",
        f"![Fused scans](images/{picture.name})",
        "",
        *(markdown(get_published(name), scans) for name in SCAN_TABLES),
        "## refinefuse-cost",
        "",
        *cost(),
        "",
    ]
    write_file(args.output, "\n".join(text).encode())
    return 0 if scenes.complete and scans.complete else 1


if __name__ == "__main__":
    sys.exit(main())
