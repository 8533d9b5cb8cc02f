from __future__ import annotations

import copy
import json
import math
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from imfuse.core.errors import MetricError
from imfuse.metrics import CONVENTIONS, score_images
from imfuse.metrics.accumulate import FusionScores

QUICK = ("EN", "SD", "SF", "AG", "SCD")
Triple = tuple[Tensor, Tensor, Tensor]


def batch(count: int, seed: int, size: int = 12) -> Triple:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(count, 1, size, size + 1, generator=generator) for _ in range(3))


def means(*batches: Triple) -> dict[str, float]:
    scores = [score_images(*images, metrics=QUICK) for images in batches]
    return {symbol: torch.cat([one[symbol] for one in scores]).nanmean().item() for symbol in QUICK}


def values(scores: FusionScores) -> dict[str, float]:
    return {symbol: value.item() for symbol, value in scores.compute().items()}


def test_mean_over_images_not_over_batches() -> None:
    batches = [batch(count, seed) for seed, count in enumerate((1, 5, 2))]
    scores = FusionScores(QUICK)
    for images in batches:
        scores.update(*images)
    assert values(scores) == pytest.approx(means(*batches), rel=1e-12)
    assert list(scores.compute()) == list(QUICK)
    assert all(value.dtype == torch.float64 and value.ndim == 0 for value in scores.compute().values())


def test_undefined_values_are_left_out_and_counted() -> None:
    scores = FusionScores(["EN", "SCD"])
    fused, infrared, visible = batch(3, 0)
    infrared[1] = 0.5
    scores.update(fused, infrared, visible)
    wanted = score_images(fused, infrared, visible, metrics=["SCD"])["SCD"]
    assert values(scores)["SCD"] == pytest.approx(wanted[[0, 2]].mean().item(), rel=1e-14)
    assert scores.undefined == {"EN": 0, "SCD": 1}
    nothing = FusionScores(["SCD"])
    nothing.update(fused[1:2], infrared[1:2], visible[1:2])
    assert math.isnan(values(nothing)["SCD"])


def test_forward_gives_the_batch_and_keeps_the_whole() -> None:
    scores = FusionScores(QUICK)
    batches = [batch(2, 0), batch(3, 1)]
    for images in batches:
        alone = {symbol: value.item() for symbol, value in scores(*images).items()}
        assert alone == pytest.approx(means(images), rel=1e-12)
    assert values(scores) == pytest.approx(means(*batches), rel=1e-12)


def test_reset_copy_pickle_and_collection() -> None:
    scores, images = FusionScores(QUICK), batch(2, 0)
    scores.update(*batch(3, 1))
    scores.reset()
    scores.update(*images)
    for one in (scores, copy.deepcopy(scores), pickle.loads(pickle.dumps(scores))):
        assert values(one) == pytest.approx(means(images), rel=1e-12)
    collection = MetricCollection([FusionScores(["EN"])])
    collection.update(*images)
    assert collection.compute()["EN"].item() == pytest.approx(means(images)["EN"])


def test_the_range_and_the_default_metrics() -> None:
    images = tuple((255 * image).round() for image in batch(1, 0, size=192))
    scores = FusionScores(data_range=255)
    scores.update(*images)
    wanted = score_images(*images, 255)
    assert list(scores.compute()) == list(CONVENTIONS["plain"].definitions)
    assert values(scores) == pytest.approx({symbol: value.item() for symbol, value in wanted.items()}, nan_ok=True)


def test_half_precision_of_the_network_costs_nothing() -> None:
    network = torch.nn.ModuleList([FusionScores(QUICK)])
    for convert in (network.to, lambda kind: network.half()):
        convert(torch.bfloat16)
        scores = network[0]
        scores.reset()
        images = batch(4, 3)
        scores.update(*images)
        assert values(scores) == pytest.approx(means(images), rel=1e-12)


def test_no_gradients_and_no_memory_of_the_images() -> None:
    scores = FusionScores(QUICK)
    scores.update(*(image.requires_grad_() for image in batch(1, 0)))
    assert not any(value.requires_grad for value in scores.compute().values())
    assert not scores.state_dict(), "checkpoints of training stay as they were"


@pytest.mark.parametrize(
    ("metrics", "convention", "words"),
    [(["ENN"], "plain", "unknown metric 'ENN'"), (["EN"], "plane", "unknown convention"), ([], "plain", "no metric")],
)
def test_unknown_metrics_are_refused_at_once(metrics: list[str], convention: str, words: str) -> None:
    with pytest.raises(MetricError, match=words):
        FusionScores(metrics, convention)


def test_images_that_metrics_refuse() -> None:
    fused, infrared, visible = batch(1, 0)
    with pytest.raises(MetricError, match="differ in shape"):
        FusionScores(QUICK).update(fused, infrared[..., 1:], visible)


def test_metrics_alone_do_not_import_torchmetrics() -> None:
    code = "import sys, imfuse.metrics, imfuse.scoring.files; assert 'torchmetrics' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


PROCESS = """
import json, sys
import torch
import torch.distributed as dist
from imfuse.metrics.accumulate import FusionScores

torch.set_num_threads(1)
rank, store, inputs = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
scores = FusionScores(["EN", "SD", "SF", "AG", "SCD"])
for images in torch.load(inputs)[rank]:
    scores.update(*images)
own = scores.undefined["SCD"]
everywhere = {symbol: value.item() for symbol, value in scores.compute().items()}
print(json.dumps([everywhere, own, scores.undefined["SCD"]]))
dist.destroy_process_group()
"""


def test_two_processes_give_the_mean_over_all_images(tmp_path: Path) -> None:
    """Unequal numbers of batches and images, and one undefined value: means of means would be wrong."""
    first, second = [batch(1, 0), batch(2, 1)], [batch(5, 2)]
    second[0][1][3] = 0
    torch.save([first, second], tmp_path / "inputs.pt")
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    command = [sys.executable, str(script)]
    files = [str(tmp_path / "store"), str(tmp_path / "inputs.pt")]
    processes = [
        subprocess.Popen([*command, str(rank), *files], stdout=subprocess.PIPE, text=True) for rank in range(2)
    ]
    try:
        results = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for (everywhere, before, after), undefined in zip(results, (0, 1), strict=True):
        assert everywhere == pytest.approx(means(*first, *second), rel=1e-12)
        assert before == after == undefined, "each process goes on with its own share"
