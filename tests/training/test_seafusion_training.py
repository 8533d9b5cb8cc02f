"""SeAFusion in the loop of segmentation: the semantic term, and a short training of its three stages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from imfuse.core.errors import RecipeError
from imfuse.data.pairs import find_pairs
from imfuse.fusing.fuser import Fuser
from imfuse.inference.forms import fast_form
from imfuse.losses.seafusion import Objective, Segmentation, coloured
from imfuse.models import create_model
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import load_recipe, load_stages

SMALL = ["data.crop.size=32", "data.crop.kind=center", "batch_size=6", "schedule={name: constant}", "validate_every=5"]


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """Two pairs with colours, whose labels are known in their upper half."""
    torch.manual_seed(0)
    colours = torch.rand(2, 3, 32, 40)
    labels = torch.full((2, 32, 40), 255)
    labels[:, :16] = torch.randint(9, (2, 16, 40))
    visible = colours.mul(torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    return {"infrared": torch.rand(2, 1, 32, 40), "visible": visible, "colours": colours, "labels": labels}


def test_fused_image_keeps_the_colours(batch: dict[str, Tensor]) -> None:
    torch.testing.assert_close(coloured(batch["visible"], batch), batch["colours"])
    brighter = coloured(batch["visible"] + 0.1, batch)
    torch.testing.assert_close(brighter, (batch["colours"] + 0.1).clamp(max=1))


def test_semantic_term_weighs_both_paths_and_moves_the_fusion(batch: dict[str, Tensor]) -> None:
    model = create_model("seafusion", None, semantic="on").train()
    model.segmenter.eval().requires_grad_(False)
    loss, parts = Objective(semantic=2.0)(model, batch)
    plain, _ = Objective()(model, batch)
    torch.testing.assert_close(loss, plain + 2 * parts["semantic"])
    (moved,) = torch.autograd.grad(parts["semantic"], [model.decoder.convs[3].bias])
    assert moved.abs() > 0
    # What the paths say of pixels without a label does not count.
    other = batch | {"labels": batch["labels"].clone()}
    other["labels"][:, 0] = 255
    assert not Objective(semantic=2.0)(model, other)[1]["semantic"].equal(parts["semantic"])
    unknown = batch | {"labels": torch.full_like(batch["labels"], 255)}
    assert Objective(semantic=2.0)(model, unknown)[1]["semantic"] == 0


def test_segmentation_leaves_the_fusion_alone(batch: dict[str, Tensor]) -> None:
    model = create_model("seafusion", None, semantic="on").train()
    loss, _ = Segmentation()(model, batch)
    loss.backward()
    assert model.decoder.convs[3].bias.grad is None
    assert all(parameter.grad is not None for parameter in model.segmenter.parameters())


def test_inference_form_leaves_the_judge_behind(batch: dict[str, Tensor]) -> None:
    model = create_model("seafusion", None, semantic="on").eval()
    fast = fast_form(model)
    assert sum(weight.numel() for weight in fast.state_dict().values()) < 200_000
    with torch.inference_mode():
        torch.testing.assert_close(
            fast(batch["infrared"], batch["visible"]), model(batch["infrared"], batch["visible"]), atol=1e-5, rtol=0
        )


def test_stages_learn_and_the_result_fuses(pairs_folder: Path, tmp_path: Path) -> None:
    files, start, states = find_pairs(pairs_folder), None, []
    for stage, share in zip(load_stages("seafusion_semantic"), (0.9, 0.9, 1.0), strict=True):
        rate = 0.05 if stage.endswith("2") else 0.002
        recipe = load_recipe(stage, [*SMALL, f"optimizer.lr={rate}", "epochs=10"])
        out = tmp_path / stage
        start = train(recipe, files, out, start=start, device="cpu", progress=False)
        rows = read_log(out / "log.jsonl")
        losses = [row["loss"] for row in rows if row["split"] == "train"]
        assert losses[-1] < share * losses[0]
        states.append(load_file(start))
        if stage.endswith("2"):
            assert 0 <= next(row["accuracy"] for row in rows if row["split"] == "validation") <= 1
    for before, after, part in ((*states[:2], "segmenter"), (*states[1:], ("visible", "infrared", "decoder"))):
        moved = {name for name in before if not before[name].equal(after[name])}
        assert moved
        assert all(name.startswith(part) for name in moved)
    fused = Fuser(weights=start)(files[0].infrared, files[0].visible)
    assert fused.shape[:2] == (48, 64)


def test_what_the_term_needs_is_said(pairs_folder: Path, tmp_path: Path) -> None:
    for side in ("ir", "vi"):
        shutil.copytree(pairs_folder / side, tmp_path / "unlabelled" / side)
    for folder, changes, message in (
        (tmp_path / "unlabelled", [], "needs labels"),
        (pairs_folder, ["options={}", "frozen=[]"], "options.semantic=on"),
    ):
        recipe = load_recipe("seafusion_semantic_stage3", [*SMALL, *changes])
        with pytest.raises(RecipeError, match=message):
            train(
                recipe,
                find_pairs(folder),
                tmp_path / f"run{len(changes)}",
                device="cpu",
                progress=False,
            )
