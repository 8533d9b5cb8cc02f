"""Authors' checkpoints become weights files, whatever they come as; hostile ones are refused and never executed."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from imfuse.core.errors import WeightsError
from imfuse.core.registry import list_models
from imfuse.core.weights import read_header
from imfuse.models import _convert, create_model, model_class
from imfuse.models._convert import convert, read_checkpoint
from imfuse.models.psfusion import PSFusion
from imfuse.models.transfusion import TransFusion

METHODS = [name for name in list_models() if model_class(name).published_layout()]
Entries = dict[str, Tensor]
NARROW = replace(PSFusion.widths, encoder=(8, 16, 16, 16, 32, 64), deep=16, shallow=8, growth=4)
PSFUSION_LAYOUT = PSFusion.published_layout()


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two networks of 200 MB with all their entries, but few channels; their own tests convert them whole.

    Each conversion asks every method for its layout, and that of PSFusion takes a third of a second.
    """
    monkeypatch.setattr(PSFusion, "widths", NARROW)
    monkeypatch.setattr(PSFusion, "published_layout", classmethod(lambda cls: dict(PSFUSION_LAYOUT)))
    monkeypatch.setattr(TransFusion, "divisor", 8)


def authors_layout(method: str) -> Entries:
    """A checkpoint as its authors would have saved it: their names, counters included, random values."""
    return OrderedDict(random_entries(method))


@cache
def random_entries(method: str) -> Entries:
    generator = torch.Generator().manual_seed(0)
    model = create_model(method, weights=None)
    state = model.state_dict()
    entries: Entries = OrderedDict()
    for theirs, ours in model.published_layout().items():
        entries[theirs] = torch.rand(state[ours].shape, generator=generator) + 0.5
        if ours.endswith("running_var"):
            entries[theirs.removesuffix("running_var") + "num_batches_tracked"] = torch.tensor(960)
    return entries


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def entries(method: str) -> Entries:
    return authors_layout(method)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out" / "weights.safetensors"


def holds(target: Path, method: str, entries: Entries) -> None:
    """The network that loads ``target`` has the values of ``entries`` at the places of the published layout."""
    state = create_model(method, target).state_dict()
    for theirs, ours in model_class(method).published_layout().items():
        assert torch.equal(state[ours], entries[theirs]), theirs


def refused(sources: list[Path], target: Path, *parts: str, model: str | None = None) -> str:
    """``convert`` says why in one line and writes nothing."""
    with pytest.raises(WeightsError) as error:
        convert(sources, target, model)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 700
    for part in parts:
        assert part in message
    assert not target.exists()
    assert not target.parent.exists() or not any(target.parent.iterdir())
    return message


# What a checkpoint can come as


def test_layout_of_the_authors(golden: Any, target: Path, tmp_path: Path) -> None:
    """Names and shapes of the published files, values by formula."""
    for name in ("auif", "didfuse"):
        theirs = golden.checkpoint(name)
        torch.save(theirs, tmp_path / f"{name}.pth")
        assert convert([tmp_path / f"{name}.pth"], target) == name
        holds(target, name, theirs)
        loaded, filled = create_model(name, target).state_dict(), golden.filled(name).state_dict()
        assert all(torch.equal(loaded[entry], value) for entry, value in filled.items())


def bare(entries: Entries) -> Any:
    return entries


def parallel(entries: Entries) -> Any:
    return OrderedDict((f"module.{name}", value) for name, value in entries.items())


def with_weight(entries: Entries) -> Any:
    return {"weight": entries, "epoch": 120}


def with_state_dict(entries: Entries) -> Any:
    return {"state_dict": parallel(entries), "optimizer": {"lr": 1e-3}, "epoch": 7}


def with_model(entries: Entries) -> Any:
    return {"model": entries, "step": torch.tensor(3)}


def with_params(entries: Entries) -> Any:
    return {"params": entries}


def with_scalars(entries: Entries) -> Any:
    return {**entries, "epoch": 3, "note": "a note"}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrap", [bare, parallel, with_weight, with_state_dict, with_model, with_params, with_scalars])
def test_one_file(
    method: str, entries: Entries, target: Path, tmp_path: Path, wrap: Callable[[Entries], Any], legacy: bool
) -> None:
    source = tmp_path / "authors.pth"
    torch.save(wrap(entries), source, _use_new_zipfile_serialization=not legacy)
    assert zipfile.is_zipfile(source) != legacy
    assert convert([source], target) == method
    holds(target, method, entries)
    assert not any("num_batches_tracked" in name for name in load_file(target))


def parts(method: str, entries: Entries, folder: Path) -> list[Path]:
    """The files of the authors: three of AUIF-Net, two of DIDFuse."""
    names = {
        "auif": {"conv1": "Encoder_Base.model", "conv2": "Encoder_Detail.model", "decoder": "Decoder.model"},
        "didfuse": {f"cov{i}": "Encoder.pkl" if i < 5 else "Decoder.pkl" for i in range(1, 8)},
        "rfn_nest": {f"fusion_block{i}": "Fusion.model" for i in range(1, 5)},
    }.get(method)
    if names is None:
        pytest.skip(f"the checkpoint of {method} is one file")
    contents: dict[str, Entries] = {}
    for name, value in entries.items():
        contents.setdefault(names.get(name.partition(".")[0], "Others.model"), {})[name] = value
    folder.mkdir()
    for file, content in contents.items():
        torch.save({"weight": content, "epoch": 120}, folder / file, _use_new_zipfile_serialization=False)
    return [folder / file for file in contents]


def test_several_files_in_any_order(method: str, entries: Entries, target: Path, tmp_path: Path) -> None:
    files = parts(method, entries, tmp_path / "authors")
    for sources in (files, files[::-1]):
        assert convert(sources, target) == method
        holds(target, method, entries)


def test_a_folder(method: str, entries: Entries, target: Path, tmp_path: Path) -> None:
    files = parts(method, entries, tmp_path / "authors")
    (tmp_path / "authors" / "README.md").write_text("Put these files beside test.py.")
    (tmp_path / "authors" / "figures").mkdir()
    assert convert([tmp_path / "authors"], target) == method
    holds(target, method, entries)
    assert all(file.name in read_header(target)["files"] for file in files)


def test_networks_side_by_side_in_one_file(target: Path, tmp_path: Path) -> None:
    entries = authors_layout("cddfuse")
    networks: dict[str, Entries] = {}
    for name, value in entries.items():
        part, _, rest = name.partition(".")
        networks.setdefault(part, {})[f"module.{rest}"] = value
    assert len(networks) == 4
    torch.save({**networks, "optimizer": {"lr": 1e-3}, "epoch": 7}, tmp_path / "authors.pth")
    assert convert([tmp_path / "authors.pth"], target) == "cddfuse"
    holds(target, "cddfuse", entries)


def test_entries_that_play_no_part(target: Path, tmp_path: Path) -> None:
    entries = authors_layout("swinfusion")
    surplus = {"layers_Re.0.residual_group.blocks.1.attn_mask": torch.zeros(4, 4), "conv_first1_B.bias": torch.zeros(3)}
    torch.save({"params": entries | surplus}, tmp_path / "authors.pth")
    assert convert([tmp_path / "authors.pth"], target) == "swinfusion"
    holds(target, "swinfusion", entries)
    torch.save(entries | surplus | {"other.bias": torch.zeros(3)}, tmp_path / "authors.pth")
    with pytest.raises(WeightsError, match=r"unexpected other\.bias"):
        convert([tmp_path / "authors.pth"], tmp_path / "other.safetensors")


def test_safetensors_of_the_authors_names(method: str, entries: Entries, target: Path, tmp_path: Path) -> None:
    save_file(dict(entries), tmp_path / "merged.safetensors")
    assert convert([tmp_path / "merged.safetensors"], target) == method
    holds(target, method, entries)


def test_other_types_become_that_of_the_network(method: str, entries: Entries, target: Path, tmp_path: Path) -> None:
    torch.save({name: value.double() for name, value in entries.items()}, tmp_path / "double.pt")
    convert([tmp_path / "double.pt"], target)
    holds(target, method, entries)
    assert {value.dtype for value in load_file(target).values()} == {torch.float32}


def test_parameters_and_shared_memory(method: str, entries: Entries, target: Path, tmp_path: Path) -> None:
    """Entries that are views of one flat tensor, as flattened parameters are."""
    flat = torch.cat([value.flatten().float() for value in entries.values()])
    pieces = flat.split([value.numel() for value in entries.values()])
    views = {
        name: torch.nn.Parameter(piece.view(value.shape))
        for (name, value), piece in zip(entries.items(), pieces, strict=True)
    }
    torch.save(views, tmp_path / "flat.pth")
    assert convert([tmp_path / "flat.pth"], target) == method
    holds(target, method, entries)


def test_published_files(published_weights: Callable[[str], Path], shared: Path) -> None:
    for name in ("auif", "didfuse"):
        header = read_header(published_weights(name))
        assert header["model"] == name
        for file in (shared / "official" / name / "checkpoints").iterdir():
            assert f"{file.name} sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" in header["files"]


def test_header_says_where_the_weights_come_from(method: str, entries: Entries, target: Path, tmp_path: Path) -> None:
    source = tmp_path / "authors.pth"
    torch.save(entries, source)
    convert([source], target)
    header = read_header(target)
    assert header["model"] == method
    assert header["files"] == f"authors.pth sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}"
    assert header["licence"]


# What does not fit


def save(entries: Any, folder: Path, name: str = "authors.pth") -> Path:
    torch.save(entries, folder / name)
    return folder / name


def test_missing_unexpected_and_misshapen(method: str, entries: Entries, target: Path, tmp_path: Path) -> None:
    names = list(model_class(method).published_layout())
    lost, bent = names[3], names[0]
    del entries[lost]
    entries["surplus.weight"] = torch.zeros(2)
    was = tuple(entries[bent].shape)
    entries[bent] = torch.zeros(5, 4, 3)
    source = save(entries, tmp_path)
    message = refused(
        [source], target, str(source), f"missing {lost}", "unexpected surplus.weight", f"{bent} (5, 4, 3) instead of"
    )
    assert str(was) in message


def test_asked_for_another_method(target: Path, tmp_path: Path) -> None:
    source = save(authors_layout("auif"), tmp_path)
    refused([source], target, "missing cov1.cov1.1.weight", "unexpected conv1.0.kernel", model="didfuse")
    assert convert([source], target, "auif") == "auif"


def test_part_of_a_checkpoint(method: str, entries: Entries, target: Path, tmp_path: Path) -> None:
    """Whoever gives one of several files learns which entries are missing, not that the method is unknown."""
    for file in parts(method, entries, tmp_path / "authors"):
        refused([file], target, str(file), "missing ")


def test_unknown_layout(target: Path, tmp_path: Path) -> None:
    source = save({"stem.weight": torch.zeros(3), "stem.bias": torch.zeros(3)}, tmp_path)
    refused([source], target, str(source), "no known method has entries such as stem.weight, stem.bias", "auif")


def test_the_same_entry_twice(method: str, entries: Entries, target: Path, tmp_path: Path) -> None:
    files = [save(entries, tmp_path, "one.pth"), save(entries, tmp_path, "two.pth")]
    refused(files, target, "two.pth: holds", "again")
    refused([tmp_path], target, "two.pth: holds", "again")


def test_method_without_a_published_checkpoint(
    method: str, entries: Entries, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_class(method), "published_layout", classmethod(lambda cls: {}))
    refused([save(entries, tmp_path)], target, "no checkpoint of this method was published", model=method)


@pytest.mark.parametrize("name", ["weights.pth", "weights", "weights.safetensors.bak"])
def test_suffix_of_the_target(entries: Entries, tmp_path: Path, name: str) -> None:
    refused([save(entries, tmp_path)], tmp_path / "out" / name, "ends in .safetensors")


def test_sources_that_are_not_there(target: Path, tmp_path: Path) -> None:
    refused([tmp_path / "none.pth"], target, "none.pth: no such file or folder")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "README.md").write_text("nothing here")
    refused([tmp_path / "empty"], target, "no checkpoint found", ".pth")
    refused([], target, "no checkpoint found")


@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(3)],
        torch.zeros(3),
        {"epoch": 3},
        {},
        {"weight": {}},
        {"weight": {"epoch": 3}},
        {"norm.num_batches_tracked": torch.tensor(3)},
        "text",
        None,
        {3: "a"},
    ],
    ids=repr,
)
def test_contents_that_are_no_named_tensors(target: Path, tmp_path: Path, content: Any) -> None:
    source = save(content, tmp_path)
    refused([source], target, str(source))


def test_tensors_that_are_not_plain(target: Path, tmp_path: Path) -> None:
    for odd in (torch.eye(3).to_sparse(), torch.empty(3, device="meta")):
        entries = authors_layout("auif")
        entries["decoder.1.weight"] = odd
        refused([save(entries, tmp_path)], target)


# Hostile files


class Payload:
    """Unpickled without care, it makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"echo owned > {self.made}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "plain pickle", "wrapped"])
def test_malicious_pickle_is_not_executed(target: Path, tmp_path: Path, form: str) -> None:
    made, source = tmp_path / "owned", tmp_path / "authors.pth"
    content: Any = {**authors_layout("auif"), "payload": Payload(made)}
    if form == "plain pickle":
        source.write_bytes(pickle.dumps(Payload(made)))
    elif form == "wrapped":
        torch.save({"weight": authors_layout("auif"), "state": [Payload(made)]}, source)
    else:
        torch.save(content, source, _use_new_zipfile_serialization=form == "zip")
    message = refused([source], target, str(source), "not a checkpoint of plain tensors, so it is not opened")
    # PyTorch's advice is to do without its protection.
    assert not any(word in message for word in ("weights_only", "safe_globals", "trust", "docs"))
    assert not made.exists()
    if form == "plain pickle":
        # The test can fail: opened without care, the file does what it wants.
        code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
        subprocess.run([sys.executable, "-c", code, source], capture_output=True, check=True)
        assert made.exists()


@pytest.mark.parametrize("suffix", [".pth", ".model", ".pkl", ".safetensors", ".ckpt"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"hello, world\n",
        b"<!DOCTYPE html><title>Quota exceeded</title>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 37619\n",
        bytes((i * 73 + 41) % 256 for i in range(4000)),
        b"PK\x03\x04" + bytes(100),
        b"\x80\x02" + b"(" * 2000,
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
    ],
    ids=["empty", "zero", "text", "html", "lfs", "random", "zip", "marks", "system"],
)
def test_garbage(target: Path, tmp_path: Path, content: bytes, suffix: str) -> None:
    source = tmp_path / f"authors{suffix}"
    source.write_bytes(content)
    refused([source], target, str(source))


def test_truncated_files(entries: Entries, target: Path, tmp_path: Path) -> None:
    for legacy in (False, True):
        torch.save(entries, tmp_path / "whole.bin", _use_new_zipfile_serialization=not legacy)
        whole, source = (tmp_path / "whole.bin").read_bytes(), tmp_path / "short.pth"
        for share in (0.01, 0.5, 0.99):
            source.write_bytes(whole[: int(share * len(whole))])
            refused([source], target, str(source))


def test_pickle_bombs(target: Path, tmp_path: Path) -> None:
    """Small files that ask for much: lists of lists of lists, and a tensor far larger than its storage."""
    nest: Any = "x"
    for _ in range(12):
        nest = [nest] * 10
    source = tmp_path / "bomb.pth"
    torch.save({"weight": nest}, source)
    refused([source], target, str(source))
    entries = authors_layout("auif")
    entries["conv1.0.kernel"] = torch.zeros(1).expand(1 << 40)
    torch.save(entries, source)
    assert source.stat().st_size < 1_000_000
    refused([source], target, "conv1.0.kernel (1099511627776,) instead of (64, 1, 3, 3)")


def test_too_large_a_file(target: Path, tmp_path: Path) -> None:
    source = tmp_path / "large.pth"
    with source.open("wb") as file:
        file.truncate((4 << 30) + (1 << 20))
    refused([source], target, "the file has 4296015872 bytes, at most 2147483648 are read")


def test_zip_bomb(target: Path, tmp_path: Path) -> None:
    """Storages of a checkpoint are never compressed; a file where they are must not fill the memory."""
    buffer = io.BytesIO()
    torch.save({"x": torch.zeros(4)}, buffer)
    source = tmp_path / "bomb.pth"
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            large = item.filename.endswith("data/0")
            new.writestr(item.filename, bytes(50_000_000) if large else old.read(item), zipfile.ZIP_DEFLATED)
    refused([source], target, str(source))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers(target: Path, tmp_path: Path, value: float) -> None:
    entries = authors_layout("auif")
    entries["decoder.1.weight"] = torch.full_like(entries["decoder.1.weight"], value)
    source = save(entries, tmp_path)
    refused([source], target, f"{source}: NaN or infinite values in decoder.1.weight")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_pipes_devices_and_names_of_control_characters(target: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    refused([tmp_path / "pipe.pth"], target, "not a regular file, a checkpoint is expected")
    refused([tmp_path], target, "not a regular file, a checkpoint is expected")
    refused([Path("/dev/zero")], target, "not a regular file")
    message = refused([tmp_path / "a\x1b[2J\nb.pth"], target, "no such file or folder")
    assert message.isprintable()


def test_files_of_one_checkpoint_are_together_no_larger_than_one(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (save({f"{name}.weight": torch.rand(1000)}, tmp_path, f"{name}.pth") for name in "ab")
    monkeypatch.setattr(_convert, "MAX_BYTES", 8000)
    refused([first, second], target, "b.pth: the file has", "bytes, at most")


def test_names_of_entries_are_cut(target: Path, tmp_path: Path) -> None:
    source = save({"\x1b[2J" * 10_000: torch.zeros(3)}, tmp_path)
    assert refused([source], target, "no known method has entries such as").isprintable()


def test_names_that_need_care(tmp_path: Path) -> None:
    """Names are text without the prefix of parallel training, whatever their type was."""
    found = read_checkpoint(save({3: torch.zeros(2), "module.a.module.b": torch.ones(1), "c": 4}, tmp_path))
    assert set(found) == {"3", "a.module.b"}
