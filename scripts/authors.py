"""The authors' checkpoints, below ``DIR/official``, and the options that their published pictures were made with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imfuse.models._convert import convert


@dataclass(frozen=True)
class Authors:
    """What is converted, below the folder of the method; ``bound`` is the largest share of the pixels of one published
    picture that may differ from ours, by one level.
    """

    checkpoint: str
    options: dict[str, str]
    bound: float = 0.001


AUTHORS = {
    "auif": Authors("checkpoints", {"rule": "sum"}, 0.0003),
    "didfuse": Authors("checkpoints", {"rule": "sum"}, 0.0001),
    "densefuse": Authors("densefuse_model_bs2_epoch4_all_weight_1e2.ckpt.index", {"rule": "sum", "output": "stretch"}),
    "lrrnet": Authors("final_lrr_net_lam2_1.5_wir_3.0_lam3_gram_2000_epoch_4_block_4.model", {"output": "stretch-cut"}),
    "sdnet": Authors("IRVIS.model-10.index", {"output": "stretch", "levels": "published"}),
    "seafusion": Authors("SeAFusion.pth", {"output": "stretch-cut"}),
    "u2fusion": Authors("model.ckpt.index", {"output": "stretch"}),
}


def converted(shared: Path, method: str, folder: Path) -> Path:
    """The authors' weights of a method as a file of this library in ``folder``; made there where it is not."""
    weights = folder / f"{method}.safetensors"
    if not weights.is_file():
        convert([shared / "official" / method / AUTHORS[method].checkpoint], weights, method)
    return weights


def entries(shared: Path, folder: Path) -> list[dict[str, object]]:
    """All of them as entries of a benchmark's plan, called ``METHOD (authors)``."""
    return [
        {
            "model": method,
            "weights": str(converted(shared, method, folder)),
            "name": f"{method} (authors)",
            "options": authors.options,
        }
        for method, authors in AUTHORS.items()
    ]
