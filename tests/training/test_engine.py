import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from imfuse.core.errors import ImfuseError, ModelError, PairError, RecipeError, WeightsError
from imfuse.core.registry import get_spec
from imfuse.core.terms import terms_of
from imfuse.core.weights import read_header, save_weights
from imfuse.data.pairs import find_pairs
from imfuse.models import create_model
from imfuse.training.devices import placement
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import Recipe, load_recipe
from training_runs import StopAfter

SMALL = ["data.crop.size=24", "batch_size=4", "epochs=3", "checkpoint_minutes=0.0001"]


def small(*changes: str, model: str = "auif") -> Recipe:
    return load_recipe(model, [*SMALL, *changes])


def run(recipe: Recipe, folder: Path, out: Path, **options: object) -> Path:
    return train(recipe, find_pairs(folder), out, device="cpu", progress=False, **options)


def losses(out: Path) -> list[float]:
    return [row["loss"] for row in read_log(out / "log.jsonl") if row["split"] == "train"]


@pytest.mark.parametrize("batches", [1, 2, 4, 5, 8])
def test_resumed_run_equals_an_uninterrupted_one(pairs_folder: Path, tmp_path: Path, batches: int) -> None:
    recipe = small("data.validation=0.15", "data.crop.flips=true")
    whole = run(recipe, pairs_folder, tmp_path / "whole")
    with pytest.raises(ConnectionError):
        run(recipe, pairs_folder, tmp_path / "parts", callbacks=(StopAfter(batches),))
    resumed = run(recipe, pairs_folder, tmp_path / "parts", resume=True)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    steps = [row["step"] for row in read_log(tmp_path / "whole" / "log.jsonl") if row["split"] == "train"]
    assert steps == list(range(1, 10)), "3 epochs of 12 images in batches of 4"
    first, second = load_file(whole), load_file(resumed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_resume_is_exact_with_accumulation_schedule_and_pairs(pairs_folder: Path, tmp_path: Path) -> None:
    changes = ["data.crop.size=16", "epochs=2", "batch_size=2", "accumulate=2", "clip=1.0", "data.shuffle=true"]
    recipe = small(*changes, "schedule.milestones=[1]", "loss.gradient=3", model="didfuse")
    whole = run(recipe, pairs_folder, tmp_path / "whole")
    with pytest.raises(ConnectionError):
        run(recipe, pairs_folder, tmp_path / "parts", callbacks=(StopAfter(6),))
    resumed = run(recipe, pairs_folder, tmp_path / "parts", resume=True)
    first, second = load_file(whole), load_file(resumed)
    assert all(torch.equal(first[name], second[name]) for name in first)
    rates = [row["lr"] for row in read_log(tmp_path / "whole" / "log.jsonl")]
    assert rates[0] == 1e-3
    assert rates[-1] == pytest.approx(1e-4)


class States(Callback):
    """The weights after each step."""

    def __init__(self) -> None:
        self.seen: list[dict[str, torch.Tensor]] = []

    def on_train_batch_end(self, trainer: object, pl_module: Any, *_: object) -> None:
        self.seen.append({name: value.clone() for name, value in pl_module.network.named_parameters()})


def test_moving_average_of_the_weights_is_exported(pairs_folder: Path, tmp_path: Path) -> None:
    recipe = small("average=0.6", "data.validation=0.15")
    states = States()
    whole = run(recipe, pairs_folder, tmp_path / "whole", callbacks=(states,))
    exported = load_file(whole)
    # The first step is what the average begins with.
    wanted = states.seen[0]
    for state in states.seen[1:]:
        wanted = {name: 0.6 * wanted[name] + 0.4 * state[name] for name in wanted}
    assert all(torch.allclose(exported[name], wanted[name], atol=1e-6) for name in wanted)
    assert not all(torch.equal(exported[name], states.seen[-1][name]) for name in wanted)
    with pytest.raises(ConnectionError):
        run(recipe, pairs_folder, tmp_path / "parts", callbacks=(StopAfter(5),))
    resumed = load_file(run(recipe, pairs_folder, tmp_path / "parts", resume=True))
    assert all(torch.equal(exported[name], resumed[name]) for name in exported)


@pytest.mark.parametrize("name", ["refinefuse", "refinefuse_roadscene"])
def test_refinefuse_trains_on_labels_and_rendered_scenes_and_resumes(
    pairs_folder: Path, tmp_path: Path, name: str
) -> None:
    changes = ["data.crop.size=48", "data.rendered=1", "options.levels=2", "epochs=2", "batch_size=4"]
    changes += ["data.validation=0.15", "schedule={name: cosine, warmup: 1}", "validate_every=2", "precision=32-true"]
    recipe = load_recipe(name, changes)
    whole = run(recipe, pairs_folder, tmp_path / "whole")
    with pytest.raises(ConnectionError):
        run(recipe, pairs_folder, tmp_path / "parts", callbacks=(StopAfter(3),))
    resumed = run(recipe, pairs_folder, tmp_path / "parts", resume=True)
    first, second = load_file(whole), load_file(resumed)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert read_header(whole)["options"] == "levels=2"
    assert set(create_model("refinefuse", whole).state_dict()) >= set(load_file(whole)), "built with two levels"
    steps = [row for row in read_log(tmp_path / "parts" / "log.jsonl") if row["split"] == "train"]
    # Six pairs and a rendered one in batches of four; one step of warm-up, then half a cosine over three.
    rates = [row["lr"] / recipe.optimizer.lr for row in steps]
    assert rates == pytest.approx([0.5, 1.0, 0.75, 0.25])
    (scores,) = (row for row in read_log(tmp_path / "parts" / "log.jsonl") if row["split"] == "validation")
    assert {"VIF", "AG", "SCD", "Qabf", "SF", "EN", "SSIM"} <= scores.keys()


def test_training_begins_with_other_weights_and_resumes(pairs_folder: Path, tmp_path: Path) -> None:
    recipe = small("epochs=1", "optimizer.lr=1e-9", "optimizer.groups={}")
    state = create_model("auif").state_dict()
    tuned = load_file(run(recipe, pairs_folder, tmp_path / "tuned", start="default"))
    # Norms take the statistics of what they see.
    assert all(torch.allclose(tuned[name], state[name], atol=1e-6) for name in tuned if "running" not in name)
    header = read_header(tmp_path / "tuned" / "weights.safetensors")
    assert header["start"].startswith("auif.safetensors sha256:")
    assert header["start_data"] == get_spec("auif").find_weights("default").data
    assert header["terms"] == get_spec("auif").find_weights("default").terms, "those of what it began with"
    with pytest.raises(WeightsError, match="didfuse"):
        run(recipe, pairs_folder, tmp_path / "other", start=create_file_of("didfuse", tmp_path))
    with pytest.raises(ConnectionError):
        run(recipe, pairs_folder, tmp_path / "parts", start="default", callbacks=(StopAfter(1),))
    resumed = load_file(run(recipe, pairs_folder, tmp_path / "parts", start="default", resume=True))
    assert all(torch.equal(resumed[name], tuned[name]) for name in tuned)


def licence_of(path: Path) -> str:
    return read_header(path)["licence"]


def test_licence_is_stated_or_not(pairs_folder: Path, tmp_path: Path) -> None:
    recipe = small("epochs=1")
    assert licence_of(run(recipe, pairs_folder, tmp_path / "plain")) == "not stated"
    assert licence_of(run(recipe, pairs_folder, tmp_path / "own", licence="CC-BY-4.0")) == "CC-BY-4.0"


def test_licence_of_the_weights_to_begin_with_is_passed_on(pairs_folder: Path, tmp_path: Path) -> None:
    recipe, theirs, silent = small("epochs=1"), tmp_path / "theirs.safetensors", tmp_path / "silent.safetensors"
    state = create_model("auif").state_dict()
    save_weights(theirs, state, {"model": "auif", "licence": "that of the checkpoint"})
    save_weights(silent, state, {"model": "auif", "licence": "not stated"})
    assert licence_of(run(recipe, pairs_folder, tmp_path / "shipped", start="default")) == "Apache-2.0"
    assert licence_of(run(recipe, pairs_folder, tmp_path / "silent", start=silent, licence="MIT")) == "MIT"
    with pytest.raises(WeightsError, match=r"its licence, 'that of the checkpoint', .*; leave out licence='MIT'"):
        run(recipe, pairs_folder, tmp_path / "other", start=theirs, licence="MIT")
    with pytest.raises(ConnectionError):
        run(recipe, pairs_folder, tmp_path / "parts", start=theirs, callbacks=(StopAfter(2),))
    with pytest.raises(WeightsError, match="the run to resume: its licence"):
        run(recipe, pairs_folder, tmp_path / "parts", resume=True, licence="MIT")
    # What it began with is known from its checkpoint.
    header = read_header(run(recipe, pairs_folder, tmp_path / "parts", resume=True))
    assert header["licence"] == "that of the checkpoint"
    assert header["start"].startswith("theirs.safetensors sha256:")


def create_file_of(name: str, folder: Path) -> str:
    path = folder / f"{name}.safetensors"
    save_weights(path, create_model(name).state_dict(), {"model": name})
    return str(path)


def test_killed_process_resumes_to_the_same_weights(pairs_folder: Path, tmp_path: Path) -> None:
    recipe = small("epochs=8")
    whole = run(recipe, pairs_folder, tmp_path / "whole")
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "imfuse.cli.main", "train", "auif", "--data", str(pairs_folder), "-o", str(out)]
    command += ["--threads", "1", "--device", "cpu"]
    command += [word for change in [*SMALL, "epochs=8"] for word in ("--set", change)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not ((out / "last.ckpt").is_file() and len(read_log(out / "log.jsonl")) >= 5):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "weights.safetensors").exists(), "killed before the end"
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    first, second = load_file(whole), load_file(out / "weights.safetensors")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("average", [0, 0.6])
def test_ctrl_c_saves_the_step_and_resume_goes_on(pairs_folder: Path, tmp_path: Path, average: float) -> None:
    recipe = load_recipe("auif", ["data.crop.size=24", "batch_size=4", "epochs=3", f"average={average}"])
    whole = run(recipe, pairs_folder, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(recipe, pairs_folder, tmp_path / "parts", callbacks=(PressCtrlC(batches=5),))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(losses(tmp_path / "parts")) == 5
    resumed = run(recipe, pairs_folder, tmp_path / "parts", resume=True)
    first, second = load_file(whole), load_file(resumed)
    assert all(torch.equal(first[name], second[name]) for name in first)


class PressCtrlC(Callback):
    """What a user does in the middle of a step."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_train_batch_start(self, *_: object) -> None:
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGINT)


def test_resume_before_the_first_checkpoint_starts_again(pairs_folder: Path, tmp_path: Path) -> None:
    recipe = small("epochs=1", "checkpoint_minutes=60")
    with pytest.raises(ConnectionError):
        run(recipe, pairs_folder, tmp_path, callbacks=(StopAfter(2),))
    run(recipe, pairs_folder, tmp_path, resume=True)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4], "7 pairs are 14 images, in batches of 4"


@pytest.mark.usefixtures("curves")
def test_run_leaves_recipe_environment_log_curve_events_and_weights(pairs_folder: Path, tmp_path: Path) -> None:
    recipe = small("data.validation=0.3", "epochs=2")
    weights = run(recipe, pairs_folder, tmp_path, data_name="rendered scenes")
    assert load_recipe(tmp_path / "recipe.yaml") == recipe
    assert "torch" in (tmp_path / "environment.txt").read_text()
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "tensorboard").glob("events.*"))
    scores = [row for row in read_log(tmp_path / "log.jsonl") if row["split"] == "validation"]
    assert len(scores) == 2
    assert {"EN", "SD", "SF", "AG", "SCD"} <= scores[0].keys()
    header = read_header(weights)
    assert header["model"] == "auif"
    assert header["data"] == "rendered scenes"
    assert header["terms"] == terms_of("rendered scenes")
    assert header["pairs"] == "5"
    assert load_recipe_from(header["recipe"], tmp_path) == recipe
    model = create_model("auif", weights)
    assert torch.isfinite(model(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16))).all()


def load_recipe_from(text: str, folder: Path) -> Recipe:
    path = folder / "header.yaml"
    path.write_text(text)
    return load_recipe(path)


def test_training_learns(pairs_folder: Path, tmp_path: Path) -> None:
    run(small("epochs=30", "data.crop.kind=center", "checkpoint_minutes=60"), pairs_folder, tmp_path)
    found = losses(tmp_path)
    assert sum(found[-5:]) < 0.5 * sum(found[:5])


@pytest.mark.parametrize("precision", ["bf16-mixed"])
def test_mixed_precision_runs(pairs_folder: Path, tmp_path: Path, precision: str) -> None:
    weights = run(
        small("data.crop.size=16", "epochs=1", f"precision={precision}", model="didfuse"), pairs_folder, tmp_path
    )
    assert all(value.isfinite().all() for value in load_file(weights).values())


def test_two_processes_train_one_network(pairs_folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys, torch; from pathlib import Path; torch.set_num_threads(1)\n"
        "from imfuse.training.engine import train; from imfuse.training.recipe import load_recipe\n"
        "from imfuse.data.pairs import find_pairs\n"
        "train(load_recipe('auif', sys.argv[3:]), find_pairs(Path(sys.argv[1])), Path(sys.argv[2]),"
        " device='cpu', processes=2, progress=False)\n"
    )
    # A file, since the second process runs the same command again.
    program, out = tmp_path / "program.py", tmp_path / "run"
    program.write_text(script)
    changes = [*SMALL, "batch_size=2", "epochs=2", "data.validation=0.3"]
    subprocess.run([sys.executable, str(program), str(pairs_folder), str(out), *changes], check=True, timeout=300)
    rows = read_log(out / "log.jsonl")
    # 10 images, 5 for each process, 3 batches an epoch
    assert max(row["step"] for row in rows) == 6
    assert (out / "weights.safetensors").is_file()


def test_libraries_warn_of_nothing(pairs_folder: Path, tmp_path: Path) -> None:
    """What is meant to be as it is, such as a folder that holds the recipe already, is no news to the user."""
    recipe = small("epochs=2", "data.validation=0.3", "frozen=[detail]", "optimizer.groups={}")
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        run(small("epochs=1"), pairs_folder, tmp_path / "plain")
        with pytest.raises(ConnectionError):
            run(recipe, pairs_folder, tmp_path / "parts", callbacks=(StopAfter(2),))
        run(recipe, pairs_folder, tmp_path / "parts", resume=True)
    assert [str(warning.message) for warning in raised] == []


@pytest.mark.parametrize("device", ["tpu", "cuda:", "cuda:x", "cpu:1", "auto:0", "", "mps:0"])
def test_unknown_devices_are_named_before_anything_is_written(pairs_folder: Path, tmp_path: Path, device: str) -> None:
    with pytest.raises(ModelError, match=rf"device='{device}' cannot be used \(auto, cpu, cuda, .*use device='auto'"):
        train(small(), find_pairs(pairs_folder), tmp_path / "run", device=device)
    assert not (tmp_path / "run").exists()


def test_devices_in_the_words_of_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert placement("auto", None) == ("auto", "auto")
    assert placement("cpu", None) == ("cpu", 1)
    assert placement("cpu", 3) == ("cpu", 3)
    assert placement("cuda", None) == ("cuda", "auto")
    assert placement("cuda", 2) == ("cuda", 2)
    assert placement("cuda:1", None) == ("cuda", [1])
    assert placement("cuda:0,1", 2) == ("cuda", [0, 1])
    with pytest.raises(ModelError, match=r"device='cuda:2' cannot be used .there are 2 CUDA devices"):
        placement("cuda:2", None)
    with pytest.raises(ModelError, match="device='cuda:0,1' are 2 devices, but processes=3"):
        placement("cuda:0,1", 3)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ModelError, match="there are 0 CUDA devices"):
        placement("cuda", None)


def test_bad_pairs_are_all_named_before_the_first_epoch(pairs_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for side in ("ir", "vi"):
        (data / side).mkdir(parents=True)
        for path in (pairs_folder / side).iterdir():
            (data / side / path.name).write_bytes(path.read_bytes())
    (data / "ir" / "02.png").write_bytes(b"not an image")
    (data / "vi" / "05.png").write_bytes((data / "vi" / "04.png").read_bytes()[:100])
    with pytest.raises(PairError) as error:
        run(small(), data, tmp_path / "run")
    assert "2 of 7 pairs" in str(error.value)
    assert "02.png" in str(error.value)
    assert "05.png" in str(error.value)
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_crop_larger_than_an_image_is_refused(pairs_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PairError, match="64x48 is smaller than the crop of 50x50"):
        run(small("data.crop.size=50"), pairs_folder, tmp_path)


def test_a_finished_run_is_not_overwritten(pairs_folder: Path, tmp_path: Path) -> None:
    run(small("epochs=1"), pairs_folder, tmp_path)
    with pytest.raises(RecipeError, match="use resume=True"):
        run(small("epochs=1"), pairs_folder, tmp_path)
    with pytest.raises(RecipeError, match="another recipe"):
        run(small("epochs=2"), pairs_folder, tmp_path, resume=True)


def test_damaged_checkpoint_is_one_clear_error(pairs_folder: Path, tmp_path: Path) -> None:
    run(small("epochs=1"), pairs_folder, tmp_path)
    for name in ("last.ckpt", "previous.ckpt"):
        (tmp_path / name).write_bytes(b"garbage")
    with pytest.raises(WeightsError, match=r"last\.ckpt: .*previous\.ckpt: .*use output=") as caught:
        run(small("epochs=1"), pairs_folder, tmp_path, resume=True)
    assert "\n" not in str(caught.value)


def test_loss_that_is_not_finite_stops_with_advice(pairs_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ImfuseError, match=r"optimizer\.lr"):
        run(small("optimizer.lr=1e30", "optimizer.groups={}", "epochs=9"), pairs_folder, tmp_path)


def test_unknown_loss_term_and_group(pairs_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="unknown term 'contrast'; auif has ssim"):
        run(small("loss.contrast=1"), pairs_folder, tmp_path / "a")
    with pytest.raises(RecipeError, match="no parameter of the network begins with 'head'"):
        run(small("optimizer.groups.head=0.1"), pairs_folder, tmp_path / "b")


def test_log_survives_a_line_cut_short(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({"step": 1, "split": "train", "loss": 2.0}) + '\n{"step": 2, "spl')
    assert [row["step"] for row in read_log(log)] == [1]
