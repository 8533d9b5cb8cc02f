"""Runs that are stopped anywhere, and continue as if they had not been."""

from __future__ import annotations

import errno
import io
import os
import signal
import threading
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from imfuse.cli.main import main
from imfuse.core.errors import ImfuseError, RecipeError, WeightsError
from imfuse.core.lock import LOCK, output_lock
from imfuse.core.notes import ImfuseWarning
from imfuse.core.signals import Terminated
from imfuse.data.pairs import find_pairs
from imfuse.training.checkpoints import find_position, read_checkpoint
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import Recipe, load_recipe
from imfuse.training.stages import train_stages
from training_runs import StopAfter

OWN_METHOD = Path(__file__).resolve().parents[2] / "examples" / "own_method" / "net.py"
SMALL = ["data.crop.size=16", "data.validation=0.3", "batch_size=3", "epochs=3", "checkpoint_minutes=1e-9"]
SMALL += ["scores=[EN, SD]"]


def tiny(*changes: str) -> Recipe:
    """Five small pairs in two batches an epoch, and two that are held out; saved after each step."""
    return load_recipe(str(OWN_METHOD.with_name("recipe.yaml")), [*SMALL, *changes])


def run(recipe: Recipe, folder: Path, out: Path, **options: Any) -> Path:
    return train(recipe, find_pairs(folder), out, device="cpu", progress=False, **options)


def stopped(recipe: Recipe, folder: Path, out: Path, batches: int, **options: Any) -> None:
    with pytest.raises(ConnectionError):
        run(recipe, folder, out, callbacks=(StopAfter(batches),), **options)


def assert_same(first: Path, second: Path) -> None:
    """Logs, but for what a log of a cut-off run may hold, and weights."""
    assert read_log(first / "log.jsonl") == read_log(second / "log.jsonl")
    one, two = (load_file(out / "weights.safetensors") for out in (first, second))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.fixture(scope="module")
def whole(pairs_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imfuse.training.engine.draw_curves", lambda log, picture: None)
        torch.set_num_threads(1)
        run(tiny(), pairs_folder, out)
    return out


@pytest.mark.parametrize("stops", [(3, 3), (3, 2, 3), (2, 1, 1, 1), (5, 2)])
def test_a_run_that_is_stopped_again_and_again(
    whole: Path, pairs_folder: Path, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    """Also where each stop comes just after an epoch: the next epoch was not counted then, and trained twice."""
    for number, batches in enumerate(stops):
        stopped(tiny(), pairs_folder, tmp_path, batches, resume=number > 0)
    run(tiny(), pairs_folder, tmp_path, resume=True)
    assert_same(whole, tmp_path)


NOISE = """
from dataclasses import dataclass
import random
import numpy as np
import torch
from imfuse.losses import Loss, WeightedObjective

@dataclass(frozen=True)
class Noisy(WeightedObjective):
    intensity: float = 1.0

    def __call__(self, model, batch):
        fused = model(batch["infrared"], batch["visible"])
        noise = torch.rand_like(fused) * random.random() * np.random.random()
        return self.weighted({"intensity": (fused - noise).abs().mean()})
"""


@pytest.mark.parametrize(
    ("changes", "stops"),
    [
        (["average=0.6", "best=EN"], (3, 2)),
        (["average=0.6"], (5,)),
        (["batch_size=1", "accumulate=2"], (4, 6)),
        (["batch_size=2", "accumulate=2", "epochs=4"], (5, 3)),
        (["objective=noise.py:Noisy", "loss={}"], (1, 4)),
    ],
)
def test_average_best_state_accumulated_gradients_and_randomness_continue(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: list[str], stops: tuple[int, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("noise.py").write_text(NOISE)
    recipe = tiny(*changes)
    run(recipe, pairs_folder, tmp_path / "whole")
    for number, batches in enumerate(stops):
        stopped(recipe, pairs_folder, tmp_path / "parts", batches, resume=number > 0)
    run(recipe, pairs_folder, tmp_path / "parts", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "parts")
    assert (tmp_path / "whole" / "log.jsonl").read_bytes() == (tmp_path / "parts" / "log.jsonl").read_bytes()


class EndsOf(Callback):
    """A kill between the last checkpoint of the training loop and the closing one."""

    def on_train_end(self, *_: object) -> None:
        raise ConnectionError("stopped")


@pytest.mark.parametrize("average", [0, 0.6])
def test_a_run_that_is_stopped_after_its_last_step(pairs_folder: Path, tmp_path: Path, average: float) -> None:
    recipe = tiny(f"average={average}", *([] if average else ["best=SD"]))
    run(recipe, pairs_folder, tmp_path / "whole")
    with pytest.raises(ConnectionError):
        run(recipe, pairs_folder, tmp_path / "parts", callbacks=(EndsOf(),))
    run(recipe, pairs_folder, tmp_path / "parts", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "parts")


class SavesAfterEachBatch(Callback):
    """As version 0.1.0 did, after the last one of an epoch too."""

    def on_train_batch_end(self, trainer: Any, *_: object) -> None:
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "last.ckpt")


@pytest.mark.parametrize("stops", [(2, 2), (2, 1, 1), (4, 1)])
def test_checkpoints_of_an_older_version_continue(pairs_folder: Path, tmp_path: Path, stops: tuple[int, ...]) -> None:
    """In the second epoch their counters say that it did not begin."""
    recipe = tiny("data.validation=0.0", "checkpoint_minutes=60", "batch_size=4")
    run(recipe, pairs_folder, tmp_path / "whole")
    for number, batches in enumerate(stops):
        callbacks = (SavesAfterEachBatch(), StopAfter(batches))
        with pytest.raises(ConnectionError):
            run(recipe, pairs_folder, tmp_path / "parts", callbacks=callbacks, resume=number > 0)
    run(recipe, pairs_folder, tmp_path / "parts", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "parts")


class Send(Callback):
    """A signal in the middle of a step, or of a validation."""

    def __init__(self, number: int, batches: int, hook: str = "on_train_batch_start") -> None:
        self.number, self.left = number, batches
        setattr(self, hook, self._count)

    def _count(self, *_: object) -> None:
        self.left -= 1
        if not self.left:
            signal.raise_signal(self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("batches", "hook", "steps"),
    [(3, "on_train_batch_start", 3), (4, "on_train_batch_start", 4), (1, "on_validation_batch_start", 2)],
)
def test_ctrl_c_and_sigterm_save_a_checkpoint(
    whole: Path, pairs_folder: Path, tmp_path: Path, number: int, batches: int, hook: str, steps: int
) -> None:
    """In the middle of an epoch at once, after its last batch when it is validated."""
    recipe, before = tiny("checkpoint_minutes=60"), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt) as stop:
        run(recipe, pairs_folder, tmp_path, callbacks=(Send(number, batches, hook),))
    assert stop.type is (Terminated if number == signal.SIGTERM else KeyboardInterrupt)
    assert signal.getsignal(signal.SIGTERM) is before
    position = find_position(tmp_path)
    assert position is not None
    assert position.step == steps
    run(recipe, pairs_folder, tmp_path, resume=True)
    assert_same(whole, tmp_path)


def test_sigterm_waits_for_the_step_that_gradients_are_accumulated_for(pairs_folder: Path, tmp_path: Path) -> None:
    recipe = tiny("batch_size=1", "accumulate=3", "checkpoint_minutes=60")
    run(recipe, pairs_folder, tmp_path / "whole")
    with pytest.raises(Terminated):
        run(recipe, pairs_folder, tmp_path / "parts", callbacks=(Send(signal.SIGTERM, 7),))
    run(recipe, pairs_folder, tmp_path / "parts", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_sigterm_in_a_stage(pairs_folder: Path, tmp_path: Path) -> None:
    stages = {"one": tiny("epochs=1"), "two": tiny("epochs=2", "checkpoint_minutes=60")}
    files, settings = find_pairs(pairs_folder), {"device": "cpu", "progress": False}
    train_stages(stages, files, tmp_path / "whole", **settings)
    with pytest.raises(Terminated):
        train_stages(stages, files, tmp_path / "parts", callbacks=(Send(signal.SIGTERM, 5),), **settings)
    assert not (tmp_path / "parts" / "two" / "weights.safetensors").exists()
    train_stages(stages, files, tmp_path / "parts", resume=True, **settings)
    for stage in stages:
        assert_same(tmp_path / "whole" / stage, tmp_path / "parts" / stage)


def command(folder: Path, out: Path, *words: str) -> list[str]:
    settings = [word for change in SMALL for word in ("--set", change)]
    recipe = str(OWN_METHOD.with_name("recipe.yaml"))
    return ["train", recipe, "--data", str(folder), "-o", str(out), "--device", "cpu", *settings, *words]


def test_exit_code_of_a_run_that_is_terminated(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def terminated(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("imfuse.training.engine.draw_curves", terminated)
    assert main(command(pairs_folder, tmp_path)) == 143
    assert "imfuse: terminated" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def copy_of(run_folder: Path, target: Path) -> Path:
    """An unfinished run: all but its weights."""
    target.mkdir()
    for path in run_folder.iterdir():
        if path.is_file() and path.name != "weights.safetensors":
            (target / path.name).write_bytes(path.read_bytes())
    return target


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    """A bit of the weights, which PyTorch reads without a word."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        part = max((info for info in archive.infolist() if "/data/" in info.filename), key=lambda info: info.file_size)
        place = data.index(archive.read(part)) + part.file_size // 2
    changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    torch.load(io.BytesIO(changed), weights_only=True)
    return changed


def empty(data: bytes) -> bytes:
    return b""


def zeros(data: bytes) -> bytes:
    return bytes(len(data))


@pytest.mark.parametrize("damage", [cut, flipped, empty, zeros])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    whole: Path, pairs_folder: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    out = copy_of(whole, tmp_path / "run")
    last, previous = out / "last.ckpt", out / "previous.ckpt"
    # As it was after the second epoch, and one step later.
    stopped(tiny(), pairs_folder, tmp_path / "parts", 6)
    for path in (last, previous):
        path.write_bytes((tmp_path / "parts" / path.name).read_bytes())
    last.write_bytes(damage(last.read_bytes()))
    with pytest.warns(ImfuseWarning, match=r"last\.ckpt: .*the one before it, previous\.ckpt, after step 4"):
        stopped(tiny(), pairs_folder, out, 2, resume=True)
    # What was damaged has not taken the place of the good one.
    assert [read_checkpoint(path)["global_step"] for path in (previous, last)] == [4, 5]
    run(tiny(), pairs_folder, out, resume=True)
    assert_same(whole, out)


def test_two_damaged_checkpoints_are_one_line(whole: Path, pairs_folder: Path, tmp_path: Path) -> None:
    out = copy_of(whole, tmp_path / "run")
    for name in ("last.ckpt", "previous.ckpt"):
        (out / name).write_bytes(cut((out / name).read_bytes()))
    with pytest.raises(WeightsError, match=r"last\.ckpt: not a .*previous\.ckpt: not a .*ends too early"):
        run(tiny(), pairs_folder, out, resume=True)


def test_a_kill_between_two_renames(whole: Path, pairs_folder: Path, tmp_path: Path) -> None:
    out = copy_of(whole, tmp_path / "run")
    (out / "last.ckpt").replace(out / "next.ckpt")
    with pytest.raises(RecipeError, match="holds a run already"):
        run(tiny(), pairs_folder, out)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ImfuseWarning)
        run(tiny(), pairs_folder, out, resume=True)
    assert_same(whole, out)
    assert sorted(path.name for path in out.glob("*.ckpt")) == ["last.ckpt", "previous.ckpt"]


@pytest.mark.parametrize("there", [(), ("recipe.yaml",), ("recipe.yaml", "log.jsonl")])
def test_a_kill_before_the_first_checkpoint(
    whole: Path, pairs_folder: Path, tmp_path: Path, there: tuple[str, ...]
) -> None:
    out = copy_of(whole, tmp_path / "run")
    for path in out.iterdir():
        if path.name not in there:
            path.unlink()
    run(tiny(), pairs_folder, out, resume=True)
    assert_same(whole, out)
    assert load_recipe(out / "recipe.yaml") == tiny()


def test_a_second_training_in_the_folder_is_told_who_is_there(whole: Path, pairs_folder: Path, tmp_path: Path) -> None:
    found: list[str] = []

    class Second(Callback):
        def on_train_start(self, *_: object) -> None:
            for resume in (False, True):
                with pytest.raises(ImfuseError, match="in use by a training") as caught:
                    run(tiny(), pairs_folder, tmp_path, resume=resume)
                found.append(str(caught.value))

    run(tiny(), pairs_folder, tmp_path, callbacks=(Second(),))
    assert all(f"process {os.getpid()} on " in message for message in found)
    assert_same(whole, tmp_path)
    assert not (tmp_path / LOCK).exists()


def test_stages_lock_the_folder_of_all(pairs_folder: Path, tmp_path: Path) -> None:
    stages = {"one": tiny("epochs=1"), "two": tiny("epochs=1")}
    with output_lock(tmp_path, "a training"), pytest.raises(ImfuseError, match="in use by a training"):
        train_stages(stages, find_pairs(pairs_folder), tmp_path, device="cpu", progress=False)
    assert not (tmp_path / "one").exists()


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "writer",
    [
        "tensorboard.summary.writer.record_writer.RecordWriter.write",
        "os.fsync",
        "imfuse.training.log.JsonLines._append",
        "imfuse.training.engine.draw_curves",
    ],
)
def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(
    pairs_folder: Path,
    tmp_path: Path,
    writer: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopped(tiny(), pairs_folder, tmp_path, 4)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.ckpt")}
    assert find_position(tmp_path) is not None
    threads: list[threading.ExceptHookArgs] = []
    with monkeypatch.context() as patch:
        patch.setattr(threading, "excepthook", threads.append)
        patch.setattr(writer, full)
        with pytest.raises(ImfuseError, match="the disk is full; free some space") as caught:
            run(tiny(), pairs_folder, tmp_path, resume=True)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in capsys.readouterr().err
    assert not threads, "one would print a traceback"
    assert find_position(tmp_path) is not None
    if writer == "os.fsync":
        assert before == {path.name: path.read_bytes() for path in tmp_path.glob("*.ckpt")}
        assert not list(tmp_path.glob("*.tmp"))
    run(tiny(), pairs_folder, tmp_path, resume=True)
    assert (tmp_path / "weights.safetensors").is_file()


@pytest.mark.parametrize(
    "line",
    [
        b"[1, 2]",
        b"7",
        b"{}",
        b'{"step": "1", "split": "train"}',
        b'{"step": 1, "split": {}}',
        b'{"step": 1, "split": "train", "loss": "\\\\input{x}"}',
        b'{"step": 1, "split": "train", "loss": [[1]]}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b"not a log",
    ],
)
@pytest.mark.usefixtures("curves")
def test_lines_of_others_in_a_log_are_left_out_with_a_note(
    whole: Path, pairs_folder: Path, tmp_path: Path, line: bytes
) -> None:
    out = copy_of(whole, tmp_path / "run")
    log = out / "log.jsonl"
    log.write_bytes(line + b"\n" + log.read_bytes())
    with pytest.warns(ImfuseWarning, match=r"log\.jsonl: 1 of \d+ lines are not of a training") as told:
        run(tiny(), pairs_folder, out, resume=True)
    assert len(told) == 1
    assert_same(whole, out)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (0.0, r"look\.weight became NaN or infinite by step 1; lower optimizer\.lr"),
        (0.15, r"a fused image of the validation has NaN or infinite pixels at step 1; lower optimizer\.lr"),
    ],
)
def test_weights_that_are_not_finite_are_never_saved(
    pairs_folder: Path, tmp_path: Path, validation: float, message: str
) -> None:
    """The last step of a run makes them: no loss is computed with them."""
    changes = ["epochs=1", "batch_size=9", "optimizer={name: sgd, lr: 1e38}", "loss={edges: 1e9}"]
    recipe = tiny(*changes, f"data.validation={validation}")
    with pytest.raises(RecipeError, match=message):
        run(recipe, pairs_folder, tmp_path)
    assert not [path.name for path in tmp_path.iterdir() if path.suffix in (".ckpt", ".safetensors")]
