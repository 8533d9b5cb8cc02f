"""Weights files: round trips, wrong layouts, damaged and hostile files, and writing that fails midway."""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from imfuse.core import spec as spec_module
from imfuse.core.errors import ModelError, WeightsError
from imfuse.core.files import file_hash
from imfuse.core.registry import get_spec
from imfuse.core.resolve import resolve_model
from imfuse.core.spec import WeightsSpec
from imfuse.core.weights import load_weights, read_header, resolve_weights, save_weights, weights_hash
from imfuse.fusing.fuser import Fuser
from imfuse.models import create_model

SPEC = get_spec("auif")


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return create_model("auif", weights=None).state_dict()


@pytest.fixture
def file(tmp_path: Path, state: dict[str, Tensor]) -> Path:
    path = tmp_path / "auif.safetensors"
    save_weights(path, state, {"model": "auif", "recipe": "none", "date": "2026-11-21"})
    return path


def one_line(error: pytest.ExceptionInfo[WeightsError], *parts: object) -> None:
    """A message is a single line of moderate length that names what matters."""
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 600
    for part in parts:
        assert str(part) in message


# Round trip


def test_equal_weights_make_equal_files(file: Path, state: dict[str, Tensor], tmp_path: Path) -> None:
    header = {str(i): "ä" for i in range(20)}
    for name in ("a", "b"):
        save_weights(tmp_path / name, state, header)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_header(tmp_path / "a") == header


def test_options_of_the_header_are_those_of_the_network(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "auif.safetensors"
    save_weights(path, state, {"model": "auif", "options": "rule=l1"})
    assert resolve_model("auif", path).options == {"rule": "l1"}
    assert resolve_model("auif", path, {"rule": "average"}).options == {"rule": "average"}, "what is asked for counts"
    assert "rule='l1'" in repr(Fuser(weights=path, device="cpu"))
    assert resolve_model("auif", None).options == {"rule": "sum"}


@pytest.mark.parametrize("options", ["rule=odd", "role=l1", "rule", "rule=l1\x1b[2J"])
def test_odd_options_of_a_header_are_refused(tmp_path: Path, state: dict[str, Tensor], options: str) -> None:
    path = tmp_path / "odd.safetensors"
    save_weights(path, state, {"model": "auif", "options": options})
    with pytest.raises(WeightsError) as error:
        resolve_model("auif", path)
    one_line(error, path, "header", "auif")
    assert "\x1b" not in str(error.value)


def test_round_trip(file: Path, state: dict[str, Tensor]) -> None:
    found = load_weights(file, SPEC, state)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], value) for name, value in state.items())
    model = create_model("auif", file)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())
    assert not model.training
    assert create_model("auif", str(file)).state_dict().keys() == state.keys()


def test_header(file: Path) -> None:
    assert read_header(file) == {"model": "auif", "recipe": "none", "date": "2026-11-21"}


def test_step_counters_are_left_out(file: Path) -> None:
    assert not any(name.endswith("num_batches_tracked") for name in safetensors.torch.load_file(file))


def test_counters_in_a_file_are_taken(tmp_path: Path, state: dict[str, Tensor]) -> None:
    stored = {name: value.clone() for name, value in state.items()}
    stored["decoder_norm.num_batches_tracked"] += 7
    safetensors.torch.save_file(stored, tmp_path / "x.safetensors")
    assert load_weights(tmp_path / "x.safetensors", SPEC, state)["decoder_norm.num_batches_tracked"] == 7


def test_stored_float16_becomes_the_type_of_the_network(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "half.safetensors"
    save_weights(path, {name: value.half() for name, value in state.items()}, {"model": "auif"})
    found = load_weights(path, SPEC, state)
    for name, value in state.items():
        assert found[name].dtype == value.dtype
        if value.is_floating_point():
            assert torch.equal(found[name], value.half().float())
    assert path.stat().st_size < 45_000


def test_saving_takes_any_tensor_of_a_network(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    given = {
        "whole": base.requires_grad_(),
        "turned": base.t(),
        "part": base[1:, ::2],
        "again": base,
        "one": base[0, 0],
        "last": torch.randn(2, 3, 3, 3).contiguous(memory_format=torch.channels_last),
    }
    save_weights(tmp_path / "x.safetensors", given, {})
    found = safetensors.torch.load_file(tmp_path / "x.safetensors")
    assert found.keys() == given.keys()
    assert all(torch.equal(found[name], value) for name, value in given.items())


def test_folders_are_made(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "a" / "b" / "c.safetensors"
    save_weights(path, state, {"model": "auif"})
    assert path.is_file()
    assert [entry.name for entry in path.parent.iterdir()] == ["c.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_others_may_read_what_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save_weights(tmp_path / "x.safetensors", {"x": torch.ones(3)}, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.safetensors").stat().st_mode) == 0o644


# Wrong files


def test_made_for_another_method(file: Path) -> None:
    with pytest.raises(WeightsError, match="these weights are for 'auif', not for 'didfuse'; use model=auif") as e:
        create_model("didfuse", file)
    one_line(e, file)


def test_without_a_header_the_layout_decides(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "bare.safetensors"
    safetensors.torch.save_file(state, path)
    assert read_header(path) == {}
    create_model("auif", path)
    with pytest.raises(WeightsError, match="not the layout of this network: missing"):
        create_model("didfuse", path)


def test_missing_unexpected_and_misshapen_are_listed(tmp_path: Path, state: dict[str, Tensor]) -> None:
    changed = dict(state)
    del changed["base.layers.0.eta"]
    changed["base.layers.0.etta"] = torch.zeros(1)
    changed["decoder.weight"] = torch.zeros(1, 1, 5, 5)
    path = tmp_path / "changed.safetensors"
    save_weights(path, changed, {"model": "auif"})
    with pytest.raises(WeightsError) as error:
        create_model("auif", path)
    one_line(
        error,
        path,
        "missing base.layers.0.eta",
        "unexpected base.layers.0.etta",
        "wrong shape decoder.weight (1, 1, 5, 5) instead of (1, 1, 3, 3)",
    )


def test_long_lists_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_weights(path, {f"entry{i:03}": torch.zeros(1) for i in range(300)}, {"model": "auif"})
    with pytest.raises(WeightsError) as error:
        create_model("auif", path)
    one_line(error, "and 295 more", "entry004")
    assert "entry005" not in str(error.value)


# Damaged and hostile files


def header(text: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text + body


def entry(dtype: str = "F32", shape: tuple[int, ...] = (1,), start: int = 0, stop: int = 4) -> bytes:
    return json.dumps({"x": {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}}).encode()


HOSTILE = {
    "empty": b"",
    "short": b"\x01\x02\x03",
    "random": bytes((i * 73 + 41) % 256 for i in range(5000)),
    "zeros": bytes(4096),
    "huge header": struct.pack("<Q", 2**63) + b"{}",
    "header of 2 GiB": struct.pack("<Q", 2**31) + b"{}",
    "header longer than the file": struct.pack("<Q", 5000) + b'{"x": 1}',
    "header that is no JSON": header(b"hello, world"),
    "header that is a list": header(b"[1, 2, 3]"),
    "header that nests": header(b'{"x":' * 5000 + b"1" + b"}" * 5000),
    "header that is no UTF-8": header(b'{"\xff\xfe": 1}'),
    "data that is missing": header(entry(stop=4)),
    "offsets outside": header(entry(start=0, stop=2**40), bytes(4)),
    "offsets that turn back": header(entry(start=4, stop=0), bytes(4)),
    "shape that overflows": header(entry(shape=(2**62, 2**62)), bytes(4)),
    "negative shape": header(entry(shape=(-1,)), bytes(4)),
    "unknown type": header(entry(dtype="Z9"), bytes(4)),
    "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix.",
    "zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(WeightsError) as error:
        create_model("auif", path)
    one_line(error, path)


def test_every_truncation_is_noticed(tmp_path: Path, file: Path) -> None:
    whole, path = file.read_bytes(), tmp_path / "short.safetensors"
    for length in (0, 4, 8, 9, 500, 5000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError) as error:
            create_model("auif", path)
        one_line(error, path)
    path.write_bytes(whole + b"x")
    with pytest.raises(WeightsError):
        create_model("auif", path)


def test_header_alone_of_a_hostile_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(HOSTILE["random"])
    with pytest.raises(WeightsError, match="not a readable safetensors file") as error:
        read_header(path)
    one_line(error, path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_values_that_are_no_numbers_are_refused_by_name(
    tmp_path: Path, state: dict[str, Tensor], value: float, kind: torch.dtype
) -> None:
    path = tmp_path / "odd.safetensors"
    changed = {name: entry.clone() for name, entry in state.items()}
    changed["decoder.weight"][0, 0, 1, 1] = value
    save_weights(path, {name: entry.to(kind) for name, entry in changed.items()}, {"model": "auif"})
    with pytest.raises(WeightsError, match=r"NaN or infinite values in decoder\.weight; numbers are expected") as error:
        create_model("auif", path)
    one_line(error, path)


def test_integers_are_no_weights(tmp_path: Path, state: dict[str, Tensor]) -> None:
    """What a file of quantised weights holds would be taken for the weights themselves."""
    path = tmp_path / "quantised.safetensors"
    kinds = {name: entry.to(torch.int8) if name == "decoder.weight" else entry for name, entry in state.items()}
    save_weights(path, kinds, {"model": "auif"})
    with pytest.raises(WeightsError, match=r"torch\.int8 in decoder\.weight; floating numbers are expected") as error:
        create_model("auif", path)
    one_line(error, path)


def test_values_beyond_the_type_of_the_network(tmp_path: Path, state: dict[str, Tensor]) -> None:
    """What float64 holds is infinite in the float32 of the network."""
    path = tmp_path / "large.safetensors"
    save_weights(path, {name: entry.double() * 1e300 for name, entry in state.items()}, {"model": "auif"})
    with pytest.raises(WeightsError, match=r"NaN or infinite values in .*, .* and \d+ more; numbers are expected"):
        create_model("auif", path)


def test_long_names_and_shapes_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "long.safetensors"
    save_weights(path, {"\x1b" * 100_000: torch.zeros(1), "decoder.weight": torch.zeros([1] * 60)}, {"model": "auif"})
    with pytest.raises(WeightsError, match="unexpected") as error:
        create_model("auif", path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 1200


def test_headers_that_are_long_or_odd(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "odd.safetensors"
    save_weights(path, state, {"model": "a\x1b[2J\n" * 10_000})
    with pytest.raises(WeightsError, match="these weights are for") as error:
        create_model("auif", path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600
    save_weights(path, state, {"model": "a" * 1_000_000})
    with pytest.raises(ModelError, match="unknown model 'aaa") as unknown:
        resolve_model(weights=path)
    assert len(str(unknown.value)) < 1000
    save_weights(path, state, {"notes": "a" * (5 << 20)})
    with pytest.raises(WeightsError, match=r"its header has \d+ bytes"):
        create_model("auif", path)


@pytest.mark.parametrize("form", ["{path}:Net", "package.module:Net"])
def test_a_header_does_not_run_code(tmp_path: Path, state: dict[str, Tensor], form: str) -> None:
    """Networks of others go by file.py:Name, and their code is run, if the user says so: not if a file does."""
    code, made = tmp_path / "net.py", tmp_path / "owned"
    code.write_text(f"from pathlib import Path\nPath({str(made)!r}).touch()\n")
    path = tmp_path / "odd.safetensors"
    save_weights(path, state, {"model": form.format(path=code)})
    with pytest.raises(WeightsError, match=r"is not run because a file says so; give the network as model=\.\.\."):
        resolve_model(weights=path)
    assert not made.exists()


# Resolving


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_only_regular_files(tmp_path: Path, state: dict[str, Tensor]) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with (tmp_path / "sparse.safetensors").open("wb") as stream:
        stream.truncate(40 << 30)
    (tmp_path / "zero.safetensors").symlink_to("/dev/zero")
    reasons = {"pipe": "not a regular file", "sparse": "at most 2147483648 are read", "zero": "not a regular file"}
    for name, reason in reasons.items():
        path = tmp_path / f"{name}.safetensors"
        for use in (resolve_model, weights_hash, read_header):
            with pytest.raises(WeightsError, match=reason) as error:
                use(weights=path) if use is resolve_model else use(path)
            one_line(error, path)


def test_paths_that_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weights file"):
        resolve_weights(SPEC, tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="no such weights file"):
        resolve_weights(SPEC, str(tmp_path / "none.safetensors"))
    with pytest.raises(WeightsError, match="no such weights file"):
        resolve_weights(SPEC, tmp_path)
    checkpoint = tmp_path / "model.pth"
    checkpoint.write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"not a \.safetensors file; .* with `imfuse convert`"):
        resolve_weights(SPEC, checkpoint)
    with pytest.raises(WeightsError, match=r"no shipped weights 'nonsense'.*weights=FILE\.safetensors"):
        resolve_weights(SPEC, "nonsense")


@pytest.fixture
def shipped(file: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A specification whose entry ``small`` is ``file``."""
    monkeypatch.setattr(spec_module, "SHIPPED", file.parent)
    return replace(
        SPEC, weights=(WeightsSpec("small", file.name, file_hash(file), "recipe", "rendered scenes", "2026-11-21"),)
    )


def test_shipped_entry(shipped: Any, file: Path) -> None:
    assert resolve_weights(shipped, "small") == file


def test_damaged_shipped_file(shipped: Any, file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    status = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 10_000_000))
    with pytest.raises(WeightsError, match=r"damaged.*install imfuse again") as error:
        resolve_weights(shipped, "small")
    one_line(error, file)


def test_truncated_shipped_file(shipped: Any, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="damaged"):
        resolve_weights(shipped, "small")


def test_missing_shipped_file(shipped: Any, file: Path) -> None:
    file.unlink()
    with pytest.raises(WeightsError, match="shipped weights are missing; install imfuse again"):
        resolve_weights(shipped, "small")


# Writing that fails


def untouched(folder: Path, content: bytes) -> None:
    """The old file is still whole, and nothing lies beside it."""
    assert [entry.name for entry in folder.iterdir()] == ["auif.safetensors"]
    assert (folder / "auif.safetensors").read_bytes() == content


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_fault_while_writing(
    file: Path, state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    before = file.read_bytes()

    def fail(_: int) -> None:
        raise fault

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WeightsError if isinstance(fault, OSError) else KeyboardInterrupt) as error:
        save_weights(file, state, {"model": "auif"})
    if isinstance(fault, OSError):
        one_line(error, file, "cannot write", "the disk is full")
    untouched(file.parent, before)


def test_fault_while_moving_into_place(file: Path, state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def fail(self: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(WeightsError, match="cannot write") as error:
        save_weights(file, state, {"model": "auif"})
    one_line(error, file)
    untouched(file.parent, before)


def test_target_below_a_file(file: Path, state: dict[str, Tensor]) -> None:
    with pytest.raises(WeightsError, match="cannot write") as error:
        save_weights(file / "inner.safetensors", state, {"model": "auif"})
    one_line(error, file)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_full_disk(file: Path) -> None:
    """A true fault: the system refuses to write more than 20 kB, in a process of its own."""
    before = file.read_bytes()
    code = """
import resource, signal, sys
from pathlib import Path
import torch
from imfuse.core.errors import WeightsError
from imfuse.core.weights import save_weights
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_weights(Path(sys.argv[1]), {"x": torch.ones(1_000_000)}, {"model": "auif"})
except WeightsError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert f"{file}: cannot write: " in done.stdout
    untouched(file.parent, before)
