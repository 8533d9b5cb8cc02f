"""TensorFlow checkpoints: what the authors published is read to the last digit, hostile bytes are refused."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from imfuse.core import tensorflow_bundle
from imfuse.core.errors import WeightsError
from imfuse.core.tensorflow_bundle import DATA, MAGIC, crc32c, data_file, masked, read_bundle
from imfuse.models._convert import convert, read_checkpoint

Tensors = dict[str, np.ndarray[Any, Any]]
TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}
MANY = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


# A writer


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block_contents(entries: list[tuple[bytes, bytes]], every: int = 16) -> bytes:
    """Keys are shortened by what they share with the key before; each ``every``-th is whole."""
    out, restarts, previous = b"", [], b""
    for i, (key, value) in enumerate(entries):
        shared = 0
        if i % every == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    restarts = restarts or [0]
    return out + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def sealed(contents: bytes, compression: int = 0) -> bytes:
    whole = contents + bytes([compression])
    return whole + struct.pack("<I", masked(crc32c(whole)))


def table(blocks: list[list[tuple[bytes, bytes]]]) -> bytes:
    out, handles = b"", []
    for entries in blocks:
        contents = block_contents(entries)
        handles.append((entries[-1][0] + b"~", varint(len(out)) + varint(len(contents))))
        out += sealed(contents)
    meta = varint(len(out)) + varint(8)
    out += sealed(block_contents([]))
    index = block_contents(handles)
    footer = meta + varint(len(out)) + varint(len(index))
    return out + sealed(index) + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


HEADER = field(1, 1) + field(3, field(1, 1))


def entry(value: np.ndarray[Any, Any], start: int, **changes: bytes) -> bytes:
    raw = value.tobytes()
    parts = {
        "type": field(1, TYPES[value.dtype.name]),
        "shape": field(2, b"".join(field(2, field(1, side)) for side in value.shape)),
        "offset": field(4, start) if start else b"",
        "size": field(5, len(raw)),
        "crc": varint(6 << 3 | 5) + struct.pack("<I", masked(crc32c(raw))),
    }
    return b"".join((parts | changes).values())


def bundle(tensors: Tensors, changes: dict[str, dict[str, bytes]] | None = None) -> tuple[bytes, bytes]:
    """Index and data of a checkpoint; ``changes`` replace parts of the entries of some tensors."""
    data, entries = b"", [(b"", HEADER)]
    for name in sorted(tensors):
        entries.append((name.encode(), entry(tensors[name], len(data), **(changes or {}).get(name, {}))))
        data += tensors[name].tobytes()
    return table([entries]), data


def save(folder: Path, index: bytes, data: bytes) -> Path:
    path = folder / "model.ckpt.index"
    path.write_bytes(index)
    data_file(path).write_bytes(data)
    return path


def some_tensors() -> Tensors:
    rng = np.random.RandomState(0)
    return {
        "encoder/conv1/kernel": rng.standard_normal((3, 3, 1, 4)).astype(np.float32),
        "encoder/conv1/bias": rng.standard_normal(4),
        "encoder/conv2/bias": rng.standard_normal(300).astype(np.float16),
        "step": np.array(7, np.int64),
        "sizes": np.array([[1, 2], [3, 4]], np.int32),
    }


def refused(source: Path, *parts: str) -> None:
    with pytest.raises(WeightsError) as error:
        read_bundle(source)
    message = str(error.value)
    assert "\n" not in message
    for part in (source.name.removesuffix(".index"), *parts):
        assert part in message


# What is read


def test_what_was_written_is_read(tmp_path: Path) -> None:
    wanted = some_tensors()
    found = read_bundle(save(tmp_path, *bundle(wanted)))
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        assert np.array_equal(found[name], value)


def test_several_blocks(tmp_path: Path) -> None:
    wanted = {f"layer{i:03}/bias": np.full(3, i, np.float32) for i in range(60)}
    entries = [(b"", HEADER)] + [(n.encode(), entry(v, 12 * i)) for i, (n, v) in enumerate(wanted.items())]
    index = table([entries[:20], entries[20:21], entries[21:]])
    found = read_bundle(save(tmp_path, index, b"".join(v.tobytes() for v in wanted.values())))
    assert all(np.array_equal(found[name], value) for name, value in wanted.items())
    assert len(found) == 60


@given(st.dictionaries(st.text("abc/_1", min_size=1, max_size=6), st.lists(st.integers(1, 3), max_size=4), max_size=8))
@MANY
def test_any_names_and_shapes(tmp_path: Path, shapes: dict[str, list[int]]) -> None:
    wanted = {name: np.random.RandomState(1).standard_normal(shape) for name, shape in shapes.items()}
    found = read_bundle(save(tmp_path, *bundle({n: np.asarray(v) for n, v in wanted.items()})))
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[name], value) for name, value in wanted.items())


# Largest magnitudes, or single values, of the published files (fact sheet, section 10).
PUBLISHED = {
    "densefuse/densefuse_model_bs2_epoch4_all_weight_1e0.ckpt": (50, {"decoder/conv2_4/bias": -6.0028597e-5}),
    "densefuse/densefuse_model_bs2_epoch4_all_weight_1e1.ckpt": (50, {"decoder/conv2_4/bias": -0.0020401170}),
    "densefuse/densefuse_model_bs2_epoch4_all_weight_1e2.ckpt": (
        50,
        {
            "decoder/conv2_4/bias": 0.0022912670,
            "decoder/conv2_1/bias": 0.56178302,
            "encoder/conv1_1/kernel": 0.17030141,
        },
    ),
    "densefuse/densefuse_model_bs2_epoch4_all_weight_1e3.ckpt": (50, {"decoder/conv2_4/bias": -0.0044037499}),
    "sdnet/IRVIS.model-10": (
        32,
        {"fusion_model/layer5_fuse/b5_fuse": 0.0071120285, "fusion_model/layer1_ir/w1_ir": 0.13009378},
    ),
    "sdnet/Medical.model-29": (32, {"fusion_model/layer5_fuse/b5_fuse": -0.030217265}),
    "u2fusion/model.ckpt": (
        20,
        {"Generator/encoder/conv1_1/kernel": 0.10346681, "Generator_1/decoder/conv2_4/bias": -0.014136494},
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files(shared: Path, name: str) -> None:
    found = read_bundle(shared / "official" / f"{name}.index")
    count, values = PUBLISHED[name]
    assert len(found) == count
    for key, wanted in values.items():
        value = found[key]
        assert (value.item() if value.size == 1 else abs(value).max()) == pytest.approx(wanted, rel=1e-7)


# Conversion


def test_kernels_get_the_order_of_pytorch_and_slots_are_left_out(tmp_path: Path) -> None:
    kernel = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    tensors = {"a/kernel": kernel, "a/kernel/Adam": kernel, "a/kernel/Adam_1": kernel, "beta1_power": np.float64(0.9)}
    found = read_checkpoint(save(tmp_path, *bundle({n: np.asarray(v) for n, v in tensors.items()})))
    assert set(found) == {"a/kernel"}
    assert found["a/kernel"].shape == (5, 4, 2, 3)
    assert found["a/kernel"][3, 2, 1, 0] == kernel[1, 0, 2, 3]
    assert torch.equal(found["a/kernel"], torch.from_numpy(kernel).permute(3, 2, 0, 1))


@pytest.mark.parametrize("name", ["densefuse", "sdnet", "u2fusion"])
def test_the_method_is_recognised(published_files: Callable[[str], list[Path]], tmp_path: Path, name: str) -> None:
    from imfuse.core.weights import read_header

    target = tmp_path / "out.safetensors"
    assert convert(published_files(name), target) == name
    assert load_file(target)
    assert read_header(target)["files"].count("sha256:") == 2


def test_the_name_that_tensorflow_knows_it_by(shared: Path, tmp_path: Path) -> None:
    assert convert([shared / "official" / "sdnet" / "IRVIS.model-10"], tmp_path / "out.safetensors") == "sdnet"


def test_the_data_alone_are_no_checkpoint(tmp_path: Path) -> None:
    source = save(tmp_path, *bundle(some_tensors()))
    with pytest.raises(WeightsError, match=r"give its index, model\.ckpt\.index"):
        convert([data_file(source)], tmp_path / "out.safetensors")


# What is refused


def plain_crc32c(data: bytes) -> int:
    """CRC-32C bit by bit, by its definition."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@given(st.binary(max_size=200))
def test_checksums(data: bytes) -> None:
    assert crc32c(data) == plain_crc32c(data)
    assert crc32c(b"123456789") == 0xE3069283


def test_checksums_of_large_tensors_take_no_time(tmp_path: Path) -> None:
    """In plain Python these 32 MiB take some seconds."""
    value = np.zeros(8 << 20, np.float32)
    source = save(tmp_path, *bundle({"a": value}))
    started = time.process_time()
    assert read_bundle(source)["a"].nbytes == 32 << 20
    assert time.process_time() - started < 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_only_regular_files(tmp_path: Path) -> None:
    source = save(tmp_path, *bundle(some_tensors()))
    for file, said in ((data_file(source), "a TensorFlow data file is expected"), (source, "a TensorFlow index is")):
        file.unlink()
        os.mkfifo(file)
        refused(source, "not a regular file", said)
        with pytest.raises(WeightsError, match="not a regular file"):
            convert([source.with_suffix("")], tmp_path / "out.safetensors")


def test_too_many_names_over_several_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorflow_bundle, "MAX_ENTRIES", 50)
    entries = [(b"", HEADER)] + [(f"layer{i:03}".encode(), b"") for i in range(60)]
    refused(save(tmp_path, table([entries[:30], entries[30:]]), b""), "too many names")


def test_missing_data(tmp_path: Path) -> None:
    source = save(tmp_path, *bundle(some_tensors()))
    data_file(source).unlink()
    refused(source, DATA, "a pair of files")


def test_damage_is_found(tmp_path: Path) -> None:
    index, data = bundle(some_tensors())
    for place in (5, len(data) - 1):
        damaged = bytearray(data)
        damaged[place] ^= 1
        refused(save(tmp_path, index, bytes(damaged)), "checksum")
    damaged = bytearray(index)
    damaged[10] ^= 1
    refused(save(tmp_path, bytes(damaged), data), "checksum")
    refused(save(tmp_path, index, data[:-1]))
    refused(save(tmp_path, index[:-1], data), "does not end as one does")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": field(1, 7)}, "type 7"),
        ({"type": field(1, b"x")}, "not a number"),
        ({"shape": field(2, field(2, field(1, 5)))}, "do not fit"),
        ({"shape": field(2, field(2, field(1, 1 << 62)))}, "do not fit"),
        ({"shape": field(2, field(2, b""))}, "shape cannot be used"),
        ({"shape": field(2, field(3, 1))}, "shape cannot be used"),
        ({"shape": field(2, field(2, field(1, 1)) * 9)}, "shape cannot be used"),
        ({"shape": field(2, 4)}, "shape cannot be read"),
        ({"offset": field(4, 1 << 40)}, "do not fit"),
        ({"offset": field(4, 4)}, "checksum"),
        ({"size": field(5, 17)}, "do not fit"),
        ({"size": field(3, 1)}, "in parts"),
        ({"slices": field(7, b"x")}, "in parts"),
        ({"crc": b""}, "checksum"),
        ({"odd": b"\x0b"}, "unknown kind"),
        ({"odd": b"\x0a\xff\x01"}, "does not fit into its entry"),
        ({"odd": b"\xff" * 11}, "too long"),
        ({"odd": b"\x80"}, "ends within a number"),
    ],
)
def test_entries_that_do_not_fit(tmp_path: Path, changes: dict[str, bytes], said: str) -> None:
    tensors = {"a": np.ones(4, np.float32), "b": np.full(4, 2, np.float32)}
    refused(save(tmp_path, *bundle(tensors, {"a": changes})), said)


def test_tensors_do_not_share_their_numbers(tmp_path: Path) -> None:
    """Many entries that point at the same bytes would fill the memory."""
    value = np.ones(1000, np.float32)
    entries = [(b"", HEADER), *((f"t{i:03}".encode(), entry(value, 0)) for i in range(100))]
    refused(save(tmp_path, table([entries]), value.tobytes()), "do not fit")


def rebuilt(contents: bytes, handles: list[tuple[bytes, bytes]] | None = None, compression: int = 0) -> bytes:
    """An index of one block with these contents and true checksums."""
    out = sealed(contents, compression)
    index = block_contents(handles or [(b"~", varint(0) + varint(len(contents)))])
    footer = varint(0) + varint(0) + varint(len(out)) + varint(len(index))
    return out + sealed(index) + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def one(key: bytes, value: bytes = b"") -> bytes:
    return varint(0) + varint(len(key)) + varint(len(value)) + key + value


END = struct.pack("<2I", 0, 1)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (rebuilt(END), "in 0 files"),
        (rebuilt(one(b"", field(1, 2)) + END), "in 2 files"),
        (rebuilt(one(b"", HEADER + field(2, 1)) + END), "big-endian"),
        (rebuilt(one(b"", HEADER) + END, compression=1), "compressed"),
        (rebuilt(one(b"\xff") + END), "UTF-8"),
        (rebuilt(one(b"b") + one(b"a") + END), "not in order"),
        (rebuilt(one(b"a") + one(b"a") + END), "not in order"),
        (rebuilt(varint(1) + varint(1) + varint(0) + b"a" + END), "does not fit into its block"),
        (rebuilt(varint(0) + varint(1 << 40) + varint(0) + END), "does not fit into its block"),
        (rebuilt(one(b"a", bytes(5000)) + END), "too much"),
        (rebuilt(b"".join(one(f"{i:05}".encode()) for i in range(10_001)) + END), "too many"),
        (rebuilt(struct.pack("<2I", 0, 0)), "restarts"),
        (rebuilt(struct.pack("<2I", 0, 1 << 30)), "restarts"),
        (rebuilt(b"abc"), "too short"),
        (rebuilt(one(b"a") + END, [(b"~", varint(1 << 50) + varint(3))]), "outside the file"),
        (rebuilt(one(b"a") + END, [(b"x", varint(0) + varint(12)), (b"y", varint(0) + varint(12))]), "overlap"),
        (b"", "the file is empty"),
        (b"x", "too few"),
        (bytes(48), "does not end as one does"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, index: bytes, said: str) -> None:
    refused(save(tmp_path, index, b""), said)


def test_names_that_share_much_do_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = one(b"a" * 40_000)
    more = b"".join(varint(30_000 + i) + varint(1) + varint(0) + b"b" for i in range(9000))
    source = save(tmp_path, rebuilt(first + more + END), b"")
    monkeypatch.setattr(tensorflow_bundle, "MAX_INDEX", 1_000_000)
    tracemalloc.start()
    refused(source, "too many")
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def read_or_refuse(source: Path) -> None:
    """Nothing but ``WeightsError``, and no more memory than a few times the file's."""
    tracemalloc.start()
    try:
        read_bundle(source)
    except WeightsError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4_000_000


@given(st.binary(max_size=300), st.binary(max_size=40))
@MANY
def test_any_bytes(tmp_path: Path, index: bytes, data: bytes) -> None:
    read_or_refuse(save(tmp_path, index, data))
    read_or_refuse(save(tmp_path, rebuilt(index + END), data))
    read_or_refuse(save(tmp_path, rebuilt(one(b"", HEADER) + one(b"a", index) + END), data))
    footer = (index + bytes(40))[:40] + struct.pack("<Q", MAGIC)
    read_or_refuse(save(tmp_path, sealed(index) + footer, data))


@given(st.data())
@MANY
def test_changed_bytes_under_true_checksums(tmp_path: Path, data: st.DataObject) -> None:
    """Changes that a checksum would hide from the code behind it."""
    numbers = bundle(some_tensors())[1]
    contents = bytearray(block_contents([(b"", HEADER), *_entries_of_some()]))
    for _ in range(data.draw(st.integers(1, 4))):
        contents[data.draw(st.integers(0, len(contents) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(save(tmp_path, rebuilt(bytes(contents)), numbers))


def _entries_of_some() -> list[tuple[bytes, bytes]]:
    entries, offset = [], 0
    for name, value in sorted(some_tensors().items()):
        entries.append((name.encode(), entry(value, offset)))
        offset += value.nbytes
    return entries


@given(st.integers(0, 3000))
@MANY
def test_truncated(tmp_path: Path, length: int) -> None:
    index, data = bundle(some_tensors())
    read_or_refuse(save(tmp_path, index[:length], data))
    read_or_refuse(save(tmp_path, index, data[: length // 4]))
