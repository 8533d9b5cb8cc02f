"""Metrics against published values: every tenth pair of what ``scripts/evidence/metrics_truth.py`` compares in full."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from imfuse.imaging import read_image
from imfuse.metrics import Picture, score_images


@pytest.mark.parametrize("method", ["densefuse", "seafusion", "u2fusion"])
def test_matlab_toolbox_of_2022(shared: Path, method: str) -> None:
    with (shared / "truth" / "tang2022_tno.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == method and row["image"][1] == "3"]
    assert len(rows) == 11 * 4
    for image in sorted({row["image"] for row in rows}):
        places = (f"truth/fused/{method}", "data/tno/ir", "data/tno/vi")
        pictures = [Picture(torch.from_numpy(read_image(shared / p / f"{image}.png"))[None, None], 255) for p in places]
        truth = {row["metric"]: float(row["value"]) for row in rows if row["image"] == image}
        found = score_images(*pictures, metrics=list(truth), convention="tang2022")
        for metric, value in truth.items():
            # VIF of this convention is limited by rounding: two correct programs differ by 1e-8.
            assert found[metric].item() == pytest.approx(value, rel=1e-6 if metric == "VIF" else 1e-9), metric
