"""Files of ``torch.save`` from anybody: looked through before PyTorch makes anything of them, within bounds."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import time
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imfuse.core import pickle_scan, torch_file
from imfuse.core.checkpoint import load_torch_file, read_checkpoint
from imfuse.core.errors import WeightsError

Records = list[tuple[str, bytes]]
ORDERED = b"ccollections\nOrderedDict\n"


def saved(content: Any, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def storage(key: str = "0", count: int = 1, kind: str = "FloatStorage") -> bytes:
    return b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(count) + b"tQ"


def tensor(source: bytes, side: int = 1) -> bytes:
    """Code that rebuilds a tensor of one side from a storage."""
    rest = b"K\x00(" + number(side) + b"t(" + number(1) + b"t\x89" + ORDERED + b")Rt"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + source + rest + b"R"


def state(**entries: bytes) -> bytes:
    """A pickle of a dictionary with values that code makes."""
    return b"\x80\x02}(" + b"".join(text(name) + code for name, code in entries.items()) + b"u."


def zipped(
    code: bytes, records: Records | None = None, compression: int = zipfile.ZIP_STORED, name: str = "x"
) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        parts = [("data/0", bytes(4))] if records is None else records
        for part, data in [("data.pkl", code), ("version", b"3\n"), *parts]:
            archive.writestr(f"{name}/{part}", data)
    return stream.getvalue()


def legacy(code: bytes, keys: bytes = b"\x80\x02](" + text("0") + b"e.", numbers: bytes | None = None) -> bytes:
    """A file of the form before 2020, of one storage."""
    head = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    return head + code.replace(b"tQ", b"NtQ") + keys + (struct.pack("<q", 1) + bytes(4) if numbers is None else numbers)


def refused(folder: Path, data: bytes, said: str) -> None:
    """It is refused at once, in one line that says why, without a word of PyTorch's."""
    file = folder / "bad.pth"
    file.write_bytes(data)
    started = time.process_time()
    with pytest.raises(WeightsError) as error:
        read_checkpoint(file)
    assert time.process_time() - started < 5
    message = str(error.value)
    assert message.startswith(f"{file}: ")
    assert said in message
    assert message.isprintable()
    assert len(message) < 400 + len(str(file))
    assert "weights_only" not in message


# What is read


@pytest.mark.parametrize("old", [False, True], ids=["zip", "legacy"])
def test_what_checkpoints_hold(tmp_path: Path, old: bool) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimizer = torch.optim.Adam(network.parameters(), betas=(0.8, 0.9))
    network(torch.rand(1, 1, 4, 4)).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 3, 5])
    content = {
        "state_dict": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "seen": Counter({3: 1}),
        "types": [torch.zeros(2, dtype=kind) for kind in (torch.float64, torch.int64, torch.bool, torch.bfloat16)],
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "size": torch.Size([1, 2]),
        "of": (torch.float32, torch.device("cpu")),
        "view": torch.arange(10.0)[2:7:2],
        "empty": torch.zeros(0, 3),
    }
    (tmp_path / "x.ckpt").write_bytes(saved(content, old))
    found = load_torch_file(tmp_path / "x.ckpt")
    assert found.keys() == content.keys()
    assert torch.equal(found["view"], torch.tensor([2.0, 4.0, 6.0]))
    assert found["schedule"]["milestones"] == Counter([3, 3, 5])
    assert all(torch.equal(found["state_dict"][name], value) for name, value in network.state_dict().items())


def test_the_helpers_of_these_tests_write_what_is_read(tmp_path: Path) -> None:
    """So that what the others refuse is refused for the one thing that is changed."""
    for data in (zipped(state(w=tensor(storage()))), legacy(state(w=tensor(storage())))):
        (tmp_path / "x.pth").write_bytes(data)
        assert read_checkpoint(tmp_path / "x.pth")["w"].shape == (1,)


# Zip files


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_records(tmp_path: Path, compression: int) -> None:
    code = state(w=tensor(storage(count=1 << 22), 1 << 22))
    data = zipped(code, [("data/0", bytes(16 << 20))], compression)
    assert len(data) < 100_000
    refused(tmp_path, data, "its record x/data.pkl is compressed, which torch.save never does")


def test_zip_directories_that_say_two_things(tmp_path: Path) -> None:
    good = zipped(state(w=tensor(storage())))
    code = state(w=tensor(storage("a")))
    refused(tmp_path, good + b"x", "not as a zip file of torch.save does")
    refused(tmp_path, good[:-1], "not as a zip file of torch.save does")
    refused(tmp_path, good[:-2] + b"\x05\x00hello", "not as a zip file of torch.save does")
    refused(tmp_path, b"PK\x03\x04" + good, "its zip directory is not where it should be")
    refused(tmp_path, zipped(code, [("data/a", bytes(4)), ("data/A", bytes(4))]), "it holds a record twice")
    outside = zipped(code, [("data/a", bytes(4))]).replace(b"x/version", b"y/version")
    refused(tmp_path, outside, "its record y/version lies where torch.save puts none")
    refused(tmp_path, zipped(code, []), "its storage a is shorter than said")
    refused(tmp_path, zipped(code, [("data/a", bytes(3))]), "its storage a is shorter than said")
    refused(tmp_path, zipped(code, [("constants.pkl", b"x")]), "it holds no pickle of plain tensors")
    refused(tmp_path, zipped(code, name="a\x1b[2J\n"), "its storage a is shorter than said")
    sixty_four = saved({"w": torch.zeros(3)})
    place = sixty_four.rindex(b"PK\x06\x07") + 8
    moved = sixty_four[:place] + struct.pack("<Q", 5) + sixty_four[place + 8 :]
    refused(tmp_path, moved, "its zip directory is damaged")


def test_records_that_overlap(tmp_path: Path) -> None:
    """Many entries of the directory for the same bytes: 2 MB of zeros as 100 storages of them."""
    keys = [f"k{i:02}" for i in range(100)]
    code = state(**{key: tensor(storage(key, 500_000), 500_000) for key in keys})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x/data.pkl", code)
        archive.writestr("x/data/k00", bytes(2_000_000))
        first = archive.infolist()[1]
        for key in keys[1:]:
            entry = zipfile.ZipInfo(f"x/data/{key}")
            entry.header_offset, entry.CRC = first.header_offset, first.CRC
            entry.file_size = entry.compress_size = first.file_size
            archive.filelist.append(entry)
            archive.NameToInfo[entry.filename] = entry
    refused(tmp_path, stream.getvalue(), "its records overlap")


def test_too_many_records_and_too_long_a_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = state(w=tensor(storage()))
    monkeypatch.setattr(torch_file, "MAX_RECORDS", 20)
    refused(tmp_path, zipped(code, [(f"data/{i}", b"") for i in range(20)]), "it has 22 records")
    monkeypatch.setattr(torch_file, "MAX_DIRECTORY", 1000)
    refused(tmp_path, zipped(code, [("data/" + "a" * 2000, b"")]), "or very long names")
    monkeypatch.setattr(torch_file, "MAX_PICKLE", 1 << 20)
    refused(tmp_path, zipped(state(w=text("a" * (1 << 20)))), "its pickle has more than 1 MiB")


# Pickles


def nested(levels: int) -> bytes:
    """A tuple of itself twice, and again: a small pickle whose hash takes 2^levels steps."""
    code = b"K\x01q\x01"
    for level in range(1, levels):
        code += b"h" + bytes([level]) + b"\x86q" + bytes([level + 1])
    return code


HOSTILE = {
    "a call": (b"cos\nsystem\n" + text("true") + b"\x85R", "it asks for os.system"),
    "a byte array of 20 GiB": (b"c__builtin__\nbytearray\n" + number(20 << 30) + b"\x85R", "__builtin__.bytearray"),
    "a tensor of 20 GiB": (b"ctorch\nTensor\n" + number(20 << 30) + b"\x85R", "it asks for torch.Tensor"),
    "a name that hides": (b"c\x1b[2J\nx\n", "it asks for"),
    "a long name": (b"cposix\n" + b"x" * 100_000 + b"\n", "it asks for posix.xxx"),
    "a key that takes years": (b"}" + nested(60) + b"Ns", "a key of it is neither a text nor a number"),
    "a key of many": (b"}(" + nested(60) + b"Nu", "a key of it is neither a text nor a number"),
    "a dictionary of such keys": (ORDERED + b"](]" + nested(60) + b"aNaeR", "it calls what no checkpoint calls"),
    "an ordered one": (ORDERED + b"](" + nested(60) + b"N\x86e\x85R", "filled as no checkpoint fills it"),
    "a count of such things": (b"ccollections\nCounter\n](" + nested(60) + b"e\x85R", "filled as no checkpoint"),
    "a set": (b"\x8f", "the opcode EMPTY_SET"),
    "a new object": (b"ccollections\nOrderedDict\n)\x81", "the opcode NEWOBJ"),
    "an entry of a text": (text("a") + b"K\x00K\x00s", "where they do not belong"),
    "an item of a dictionary": (b"}K\x00a", "where they do not belong"),
    "state of a tensor": (tensor(storage()) + b")b", "where they do not belong"),
    "a call of a text": (text("a") + b")R", "it calls what no checkpoint calls"),
    "a storage of a text": (text("storage") + b"Q", "described as none is"),
    "a module": (b"(" + text("module") + text("a") + text("b") + text("c") + b"tQ", "described as none is"),
    "negative numbers": (tensor(storage(count=-1)), "described as none is"),
    "more than there is": (tensor(storage(count=1 << 40), 1 << 40), "than"),
    "another storage": (tensor(storage(kind="UntypedStorage")), "it asks for torch.UntypedStorage"),
    "many steps": (b"](" + b"N" * 600_000 + b"e", "its pickle has more than 500000 steps"),
    "what was not remembered": (b"h\x05", "its pickle is damaged"),
    "an empty stack": (b"00s", "its pickle"),
    "no end": (b"X\xff\xff\xff\xffabc", "its pickle is damaged"),
    "an unknown opcode": (b"\xfe", "its pickle is damaged"),
}


@pytest.mark.parametrize("old", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles(tmp_path: Path, name: str, old: bool) -> None:
    code, said = HOSTILE[name]
    refused(tmp_path, (legacy if old else zipped)(state(w=code)), said)


def test_old_files_with_false_lists(tmp_path: Path) -> None:
    code = state(w=tensor(storage()))
    for keys in (b"](" + text("0") + text("1") + b"e.", b"]."):
        refused(tmp_path, legacy(code, b"\x80\x02" + keys), "the list of its storages does not fit them")
    for keys in (b"](" + nested(60) + b"e.", b"](" + ORDERED + b"e."):
        refused(tmp_path, legacy(code, b"\x80\x02" + keys), "its form is not that of torch.save")
    refused(tmp_path, legacy(code, numbers=b""), "PyTorch's safe reader does not take it")
    refused(tmp_path, legacy(state(w=tensor(storage(count=1 << 33), 1 << 33))), "its storages are longer than the file")


def test_an_old_file_that_is_a_tar_archive_too(tmp_path: Path) -> None:
    """Older releases of PyTorch would read its members instead of what was looked at."""
    head = legacy(state(w=tensor(storage())))
    info = tarfile.TarInfo("x")
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[:15] = head[:15]
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    refused(tmp_path, bytes(block) + bytes(1024), "it is a tar archive too")


def test_entries_that_are_called_as_methods_are(tmp_path: Path) -> None:
    """The attributes of an ordered dictionary are in the file, too."""
    code = b"\x80\x02" + ORDERED + b")R(" + text("w") + tensor(storage()) + b"u}("
    code += text("items") + b"K\x01" + text("get") + b"K\x01" + text("keys") + b"K\x01" + b"ub."
    (tmp_path / "x.pth").write_bytes(zipped(code))
    assert read_checkpoint(tmp_path / "x.pth").keys() == {"w"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".index"])
def test_only_regular_files(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"x{suffix}")
    with pytest.raises(WeightsError, match="not a regular file, a"):
        read_checkpoint(tmp_path / f"x{suffix}")


# Whatever the bytes are

SOUND = [saved({"w": torch.arange(6.0), "n": OrderedDict(a=torch.zeros(2))}, old) for old in (False, True)]


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_bytes(tmp_path: Path, data: st.DataObject) -> None:
    """Nothing but ``WeightsError``, in one line."""
    content = bytearray(data.draw(st.sampled_from(SOUND)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "x.pth").write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        read_checkpoint(tmp_path / "x.pth")
    except WeightsError as error:
        said = str(error)
    else:
        said = ""
    assert said.isprintable()


def test_bounds_are_those_that_are_documented() -> None:
    assert (pickle_scan.MAX_STEPS, torch_file.MAX_PICKLE, torch_file.MAX_RECORDS) == (500_000, 8 << 20, 20_000)
