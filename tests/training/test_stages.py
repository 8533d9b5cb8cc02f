"""Methods that are trained in stages: parts that do not move, one stage after the other, weights to start from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from imfuse.cli.main import main
from imfuse.core.errors import RecipeError
from imfuse.core.weights import read_header
from imfuse.data.pairs import find_pairs
from imfuse.layers.vgg import VGG19, torchvision_layout
from imfuse.models import create_model
from imfuse.models.transfusion import TransFusion
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.module import FusionTraining
from imfuse.training.recipe import load_recipe, load_stages
from imfuse.training.stages import train_stages

SMALL = ["data.crop.size=48", "batch_size=4", "epochs=1", "precision=32-true", "schedule={name: constant}"]
SMALL += ["data.validation=0.3", "validate_every=1", "best=''", "data.shares={}"]


def command(monkeypatch: pytest.MonkeyPatch, folder: Path, out: Path, *words: str, model: str) -> int:
    settings = [word for change in SMALL for word in ("--set", change)]
    start = ["imfuse", "train", model, "--data", str(folder), "-o", str(out), "--device", "cpu"]
    monkeypatch.setattr("sys.argv", [*start, "--threads", "1", *settings, *words])
    try:
        return main() or 0
    except SystemExit as stop:
        return int(stop.code or 0)


def test_stages_of_transfusion(pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage 1 moves encoder and decoder alone, stage 2 starts with its export and moves the rest alone."""
    # A moving average of what stays rounds it.
    still = ["transfusion_compact_stage2.frozen=[encoder, decoder]", "transfusion_compact_stage2.average=0"]
    changes = ["scores=[EN, SCD]", "convention=plain", *still]
    words = [word for change in changes for word in ("--set", change)]
    assert command(monkeypatch, pairs_folder, tmp_path, *words, model="transfusion_compact") == 0
    first, second = (tmp_path / f"transfusion_compact_stage{stage}" for stage in (1, 2))
    start, one, two = (
        create_model("transfusion_compact", weights=None).state_dict(),
        load_file(first / "weights.safetensors"),
        load_file(second / "weights.safetensors"),
    )
    fixed = ("encoder.", "decoder.")
    assert all(torch.equal(one[name], two[name]) is name.startswith(fixed) for name in one if name.endswith("weight"))
    assert start.keys() == two.keys()
    rebuilt, fused = (next(r for r in read_log(f / "log.jsonl") if r["split"] == "validation") for f in (first, second))
    assert {"mse", "structure"} <= rebuilt.keys()
    assert {"EN", "SCD"} <= fused.keys()
    assert read_header(second / "weights.safetensors")["start"].startswith("weights.safetensors sha256:")
    # Finished stages are not trained again.
    lines = (first / "log.jsonl").read_text()
    (second / "weights.safetensors").unlink()
    assert command(monkeypatch, pairs_folder, tmp_path, *words, "--resume", model="transfusion_compact") == 0
    assert (first / "log.jsonl").read_text() == lines
    again = load_file(second / "weights.safetensors")
    assert all(torch.equal(two[name], again[name]) for name in two)


def test_frozen_parts_have_no_gradient_no_optimiser_state_and_stay_in_evaluation_mode() -> None:
    recipe = load_recipe("psfusion_compact", ["frozen=[encoder_ir, scene.]", "schedule={name: constant}"])
    module = FusionTraining(recipe).train()
    frozen = {name for name, _ in module.network.named_parameters() if name.startswith(("encoder_ir", "scene."))}
    optimizer = module.configure_optimizers()
    moved = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in module.network.named_parameters():
        unused = name.startswith("segmentation.unused")
        assert (id(parameter) in moved) is parameter.requires_grad is (name not in frozen and not unused)
    assert not module.network.encoder_ir.training
    assert not module.network.encoder_ir.stages[0][0].training
    assert not module.network.scene.blocks[0].training
    assert module.network.scene_half.training
    assert module.network.encoder_vi.training


def test_fixed_norms_are_in_evaluation_mode_and_still_trained() -> None:
    module = FusionTraining(load_recipe("psfusion_compact", ["fixed_norms=true"])).train()
    norms = [part for part in module.network.modules() if isinstance(part, nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms)
    assert module.network.encoder_vi.norm.weight.requires_grad
    assert module.network.training
    # So what a picture becomes depends on nothing beside it in its batch.
    pictures = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        both, alone = module.network(pictures, pictures), module.network(pictures[:1], pictures[:1])
    assert (both[:1] - alone).abs().max() < 1e-5


def test_stages_of_the_mixed_psfusion_move_three_norms_and_then_none() -> None:
    for recipe, moving in zip(load_stages("psfusion_compact_mixed").values(), (3, 0), strict=True):
        module = FusionTraining(recipe).train()
        norms = {name: part for name, part in module.network.named_modules() if isinstance(part, nn.BatchNorm2d)}
        names = [name for name, part in norms.items() if part.training]
        assert names == ["scene_half.norm", "scene_full.norm", "inject.norm"][:moving]


def test_norms_of_frozen_parts_do_not_move(larger_pairs: Path, tmp_path: Path) -> None:
    changes = [
        *SMALL,
        "data.crop.size=64",
        "data.rendered=0",
        "scores=[EN]",
        "convention=plain",
        "frozen=[encoder_ir]",
        "batch_size=5",
    ]
    recipe = load_recipe("psfusion_compact", changes)
    files = find_pairs(larger_pairs)
    trained = load_file(train(recipe, files, tmp_path, device="cpu", progress=False))
    for name, value in trained.items():
        if name.startswith("encoder_ir.") and "running_mean" in name:
            assert not value.any(), name
    assert trained["encoder_vi.norm.running_mean"].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["frozen=[encodr]"], "frozen: no parameter of the network begins with 'encodr'"),
        (["objective=Reconstruct"], "objective: transfusion_compact has no 'Reconstruct'"),
        (["objective=Tensor"], "objective: transfusion_compact has no 'Tensor'"),
    ],
)
def test_mistakes_of_a_stage_are_named(changes: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        FusionTraining(load_recipe("transfusion_compact_stage2", changes))


def test_changes_are_of_one_stage_or_of_all(tmp_path: Path) -> None:
    stages = load_stages("transfusion", ["batch_size=3", "transfusion_stage1.epochs=7"])
    assert [stage.batch_size for stage in stages.values()] == [3, 3]
    assert [stage.epochs for stage in stages.values()] == [7, 50]
    assert list(load_stages("auif")) == ["auif"]
    for text in ("stages: 3", "stages: [auif, nonesuch]", "stages: [auif]\nepochs: 3"):
        (tmp_path / "odd.yaml").write_text(text)
        with pytest.raises(RecipeError, match="a list of names of recipes is expected"):
            load_stages(tmp_path / "odd.yaml")
    with pytest.raises(RecipeError, match="stages"):
        load_recipe("transfusion")


def test_recipes_are_the_authors_protocol() -> None:
    one, two = load_stages("transfusion").values()
    assert [(s.epochs, s.batch_size, s.data.crop.size, s.optimizer.lr) for s in (one, two)] == [(50, 8, 256, 1e-5)] * 2
    assert (one.objective, one.data.kind, two.objective, two.data.kind) == (
        "Reconstruction",
        "images",
        "Objective",
        "pairs",
    )

    def moved(recipe: str) -> int:
        with torch.device("meta"):
            network = FusionTraining(load_recipe(recipe)).network
        return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)

    assert moved("transfusion_stage1") == 21_386_209
    assert moved("transfusion_stage2") == 11_725_791


def test_full_network_trains_from_a_file_of_torchvisions_layout(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # All layers of the full network, at an eighth of their width.
    monkeypatch.setattr(TransFusion, "divisor", 8)
    state = VGG19(8).state_dict()
    shapes = {theirs: state[ours].shape for theirs, ours in torchvision_layout().items()}
    generator = torch.Generator().manual_seed(0)
    made = {name: torch.rand(shape, generator=generator) * 0.02 for name, shape in shapes.items()}
    torch.save(made | {"classifier.0.weight": torch.rand(4, 4)}, tmp_path / "made.pth")
    digest = hashlib.sha256((tmp_path / "made.pth").read_bytes()).hexdigest()
    file = (tmp_path / "made.pth").rename(tmp_path / f"vgg19-{digest[:8]}.pth")
    words = [
        "--set",
        f"initial={file}",
        "--set",
        "data.validation=0",
        "--set",
        "data.crop.size=16",
        "--set",
        "batch_size=16",
    ]
    assert command(monkeypatch, pairs_folder, tmp_path / "run", *words, model="transfusion") == 0
    header = read_header(tmp_path / "run" / "transfusion_stage1" / "weights.safetensors")
    assert header["initial"] == f"{file.name} sha256:{digest}"
    assert header["terms"] == "not known"
    assert str(tmp_path) not in "".join(header.values()), "folders are of no use to others"
    weights = load_file(tmp_path / "run" / "transfusion_stage2" / "weights.safetensors")
    assert torch.equal(weights["encoder.stages.1.1.weight"], made["features.5.weight"])
    assert "imfuse fuse INFRARED VISIBLE --model transfusion" in capsys.readouterr().out


def test_stages_are_trained_from_python(pairs_folder: Path, tmp_path: Path) -> None:
    stages = load_stages("transfusion_compact", [*SMALL, "data.validation=0"])
    files, announced = find_pairs(pairs_folder), []
    settings = {"device": "cpu", "progress": False, "licence": "MIT"}
    weights = train_stages(stages, files, tmp_path / "run", announce=announced.append, **settings)
    assert weights == tmp_path / "run" / "transfusion_compact_stage2" / "weights.safetensors"
    assert [(stage.name, stage.folder.name, stage.done) for stage in announced] == [
        (name, name, False) for name in stages
    ]
    assert [stage.recipe for stage in announced] == list(stages.values())
    assert read_header(weights)["licence"] == "MIT", "that of the first stage, which the second begins with"
    weights.unlink()
    train_stages(stages, files, tmp_path / "run", resume=True, announce=announced.append, **settings)
    assert [stage.done for stage in announced[2:]] == [True, False]
    alone = train_stages(load_stages("auif", SMALL), files, tmp_path / "alone", device="cpu", progress=False)
    assert alone == tmp_path / "alone" / "weights.safetensors"


def test_stage_alone_starts_from_an_export(pairs_folder: Path, tmp_path: Path) -> None:
    # A moving average of what stays rounds it.
    changes = [[], ["frozen=[encoder, decoder]", "average=0"]]
    recipes = [
        load_recipe(f"transfusion_compact_stage{stage}", [*SMALL, "data.validation=0", *changes[stage - 1]])
        for stage in (1, 2)
    ]
    kwargs = {"device": "cpu", "progress": False}
    first = train(recipes[0], find_pairs(pairs_folder), tmp_path / "one", **kwargs)
    second = train(recipes[1], find_pairs(pairs_folder), tmp_path / "two", start=first, **kwargs)
    one, two = load_file(first), load_file(second)
    assert torch.equal(one["decoder.image.weight"], two["decoder.image.weight"])
