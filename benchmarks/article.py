"""Write ``docs/results_refinefuse.md``: our weights beside every table of the RefineFuse article that pictures allow.

``article.py --shared DIR -o docs/results_refinefuse.md --work FOLDER`` runs ``imfuse benchmark`` under the convention
``refinefuse`` in FOLDER, where a stopped run goes on. DIR holds ``data`` and ``truth/fused``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from imfuse.benchmark.plan import make_plan
from imfuse.benchmark.published import get_published
from imfuse.benchmark.reproduce import markdown
from imfuse.benchmark.runner import run_benchmark
from imfuse.benchmark.tables import Table
from imfuse.benchmark.tables import markdown as markdown_of
from imfuse.core.registry import get_spec, list_models
from imfuse.folder import Progress
from imfuse.imaging import write_file
from results import draw

METRICS = ["VIF", "AG", "SCD", "Qabf", "SF", "EN", "SSIM"]
SCENES = {"tno": "tno", "roadscene": "roadscene", "msrs": "msrs_sample", "m3fd": "m3fd_sample"}
SCANS = {"mri_ct": "medical/mri_ct", "mri_pet": "medical/mri_pet", "mri_spect": "medical/mri_spect"}
TABLES = ("refinefuse-tno", "refinefuse-msrs", "refinefuse-m3fd")
SCAN_TABLES = ("refinefuse-mri-ct", "refinefuse-mri-pet", "refinefuse-mri-spect")
SCAN_ROWS = [(data, number) for data in SCANS for number in (2, 7, 12)]


def main() -> int:
    """Run both parts, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True, help="the Markdown file")
    parser.add_argument("--work", type=Path, default=Path("runs/article"), help="folder of the benchmarks")
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()

    def tell(step: Progress) -> None:
        print(f"{step.done} of {step.total} {step.name}", file=sys.stderr)

    shipped = [{"model": name} for name in list_models() if get_spec(name).weights]
    medical = {"model": "refinefuse", "weights": "medical", "name": "refinefuse (medical)"}
    fused = {folder.name: {"tno": folder} for folder in sorted((args.shared / "truth" / "fused").glob("*/"))}
    parts = []
    for name, sets, models, others in (
        ("scenes", SCENES, shipped, fused),
        ("scans", SCANS, [{"model": "refinefuse"}, medical], {}),
    ):
        data = {key: args.shared / "data" / folder for key, folder in sets.items()}
        plan = make_plan(
            {"data": data, "models": models, "fused": others, "convention": "refinefuse", "metrics": METRICS}
        )
        parts.append(run_benchmark(plan, args.work / name, workers=args.workers, progress=tell))
    scenes, scans = parts
    picture = args.out.parent / "images" / "results_scans.jpg"
    draw(scans, args.work / "scans", SCAN_ROWS, picture)
    text = [
        "# RefineFuse beside its article",
        "",
        "Printed by `python benchmarks/article.py --shared DIR -o docs/results_refinefuse.md`.",
        "Means under the convention `refinefuse`; rows without *ours* are methods that were not run here. The article's"
        " pictures and weights are not public: its row is of a network trained on MSRS, ours of this reconstruction,"
        " trained on RoadScene. The objective of ours has terms that resemble VIF, SCD and SSIM, so look at the"
        " [pictures](results.md) too.",
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
    ]
    write_file(args.out, "\n".join(text).encode())
    return 0 if scenes.complete and scans.complete else 1


if __name__ == "__main__":
    sys.exit(main())
