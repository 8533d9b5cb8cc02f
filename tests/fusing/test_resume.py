"""Which files a run may replace, and that a damaged result is noticed and made again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imfuse import Fuser, ImageError
from imfuse.fusing.folder import FolderReport
from imfuse.fusing.resume import FINGERPRINT, is_finished
from imfuse.imaging import write_image
from imfuse.imaging.stored import is_ours, is_whole

posix = pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
METADATA = {"Software": "imfuse 9.8.7 (auif)", "imfuse:infrared-range": "0,255", FINGERPRINT: "f" * 64}


@pytest.fixture(scope="module")
def fuser() -> Fuser:
    return Fuser("laplacian_pyramid")


@pytest.fixture(scope="module", params=["png", "tif"])
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("result") / f"a.{request.param}"
    write_image(path, PICTURE, metadata=METADATA)
    return path


def sources(folder: Path, *names: str) -> tuple[Path, Path, Path]:
    random = np.random.default_rng(0)
    for name in names:
        write_image(folder / "ir" / f"{name}.png", random.integers(0, 256, (40, 50), np.uint8))
        write_image(folder / "vi" / f"{name}.png", random.integers(0, 256, (40, 50, 3), np.uint8))
    return folder / "ir", folder / "vi", folder / "out"


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]


def test_a_flip_of_any_byte_is_noticed_and_the_file_known_as_ours(result: Path, tmp_path: Path) -> None:
    whole, path = result.read_bytes(), tmp_path / result.name
    path.write_bytes(whole)
    assert is_finished(path, "f" * 64)
    assert not is_finished(path, "e" * 64)
    for place in [*range(8, 500), *range(500, len(whole), 151)]:
        path.write_bytes(flipped(whole, place))
        assert not is_finished(path, "f" * 64), place


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda data: data[: len(data) // 2],
    "no end": lambda data: data[:-100],
    "200 bytes": lambda data: data[:200],
    "zeros in the middle": lambda data: data[:600] + bytes(len(data) - 616) + data[-16:],
    "surplus": lambda data: data + b"x",
    "empty": lambda data: b"",
    "only zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_result_may_be_replaced(result: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / result.name
    path.write_bytes(DAMAGE[damage](result.read_bytes()))
    assert not is_whole(path)
    if path.suffix == ".tif" and damage == "200 bytes":
        # Nothing in there says whose it was: it is reported, and stays.
        assert not is_ours(path)
    else:
        assert not is_finished(path, "f" * 64)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.bmp", "a.webp", "a.txt"])
def test_files_of_others_are_refused_damaged_or_not(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("txt"):
        path.write_text("imfuse:fingerprint and Software imfuse 9.8.7 in a letter about it")
    else:
        Image.fromarray(PICTURE).save(path)
    whole = path.read_bytes()
    for data in (whole, whole[: len(whole) // 2], whole + b"surplus"):
        path.write_bytes(data)
        with pytest.raises(ImageError, match="nothing in it says that imfuse made it"):
            is_finished(path, "f" * 64)


@pytest.mark.parametrize("name", ["a.jpg", "a.bmp", "a.webp"])
def test_formats_without_metadata_need_overwrite_the_second_time(fuser: Fuser, tmp_path: Path, name: str) -> None:
    ir, vi, _ = sources(tmp_path, "1")
    pair, path = (ir / "1.png", vi / "1.png"), tmp_path / name
    assert fuser.files(*pair, path)
    before = path.read_bytes()
    with pytest.raises(ImageError, match="use overwrite=True"):
        fuser.files(*pair, path)
    assert fuser.files(*pair, path, overwrite=True)
    assert path.read_bytes() == before


def test_damaged_results_of_a_folder_are_made_again(fuser: Fuser, tmp_path: Path) -> None:
    """A bit that flipped in the middle of the pixels, zeros of a disk that lost power, a file that was cut."""
    names = [str(number) for number in range(len(DAMAGE) + 2)]
    ir, vi, out = sources(tmp_path, *names)
    fuser.folder(ir, vi, out)
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    for name, damage in zip(names[2:], DAMAGE.values(), strict=True):
        (out / f"{name}.png").write_bytes(damage(whole[f"{name}.png"]))
    data = whole["0.png"]
    (out / "0.png").write_bytes(flipped(data, (data.index(b"IDAT") + len(data)) // 2))
    report = fuser.folder(ir, vi, out)
    assert (report.skipped, report.failed) == (("1",), ())
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole


@posix
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_file_is_refused_before_anything_is_computed(
    fuser: Fuser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    ir, vi, out = sources(tmp_path, "1", "2", "3")
    out.mkdir()
    os.mkfifo(out / "1.png")
    (out / "2.png").symlink_to(os.devnull)
    (out / "3.png").mkdir()
    monkeypatch.setattr(Fuser, "prepare", None)
    report = fuser.folder(ir, vi, out, overwrite=overwrite)
    assert [message.partition(": ")[2].partition(",")[0] for _, message in report.failed] == [
        "not a regular file",
        "not a regular file",
        "this is a folder",
    ]
    assert (out / "1.png").is_fifo()
    assert (out / "2.png").is_symlink()


@posix
def test_links_need_overwrite_where_they_lead_nowhere_and_stay(fuser: Fuser, tmp_path: Path) -> None:
    ir, vi, _ = sources(tmp_path, "1")
    link, away = tmp_path / "link.png", tmp_path / "away.png"
    link.symlink_to(away)
    with pytest.raises(ImageError, match="leads nowhere"):
        fuser.files(ir / "1.png", vi / "1.png", link)
    assert not away.exists()
    assert fuser.files(ir / "1.png", vi / "1.png", link, overwrite=True)
    assert not fuser.files(ir / "1.png", vi / "1.png", link), "it is recognised through the link"
    write_image(away, PICTURE)
    away.chmod(0o600)
    with pytest.raises(ImageError, match="nothing in it says"):
        fuser.files(ir / "1.png", vi / "1.png", link)
    assert fuser.files(ir / "1.png", vi / "1.png", link, overwrite=True)
    assert link.is_symlink()
    assert away.stat().st_mode & 0o777 == 0o600
    assert is_whole(away)


@posix
def test_a_link_never_leads_back_to_what_is_fused(fuser: Fuser, tmp_path: Path) -> None:
    def run() -> FolderReport:
        return fuser.folder(ir, vi, out, overwrite=True)

    ir, vi, out = sources(tmp_path, "1", "2", "3")
    out.mkdir()
    (out / "1.png").symlink_to(vi / "2.png")
    (out / "2.png").symlink_to(ir / "new.png")
    before = {path: path.read_bytes() for path in (*ir.iterdir(), *vi.iterdir())}
    report = run()
    assert report.written == ("3",)
    assert all("a link into a folder that is read" in message for _, message in report.failed)
    assert {path: path.read_bytes() for path in (*ir.iterdir(), *vi.iterdir())} == before
    (tmp_path / "to.png").symlink_to(vi / "1.png")
    with pytest.raises(ImageError, match="one of the two pictures"):
        fuser.files(ir / "1.png", vi / "1.png", tmp_path / "to.png", overwrite=True)
