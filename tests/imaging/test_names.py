from __future__ import annotations

import inspect
from pathlib import Path

from imfuse import imaging
from imfuse.imaging import find_pairing, match_fused, read_pairs


def test_the_package_lists_its_public_names() -> None:
    assert dir(imaging) == sorted(imaging.__all__)
    assert inspect.isfunction(imaging.resize), "no module has the name of a function"


def test_packed_volumes_are_paired_by_their_whole_names(tmp_path: Path) -> None:
    for side, name in (("a", "one_MRI"), ("a", "two.5_MRI"), ("b", "one_PET"), ("b", "two.5_PET")):
        (tmp_path / side).mkdir(exist_ok=True)
        (tmp_path / side / f"{name}.nii.gz").write_bytes(side.encode())
        # A file that is packed, but no picture.
        (tmp_path / side / "notes.txt.gz").write_bytes(b"")
    pairing = find_pairing(tmp_path / "a", tmp_path / "b")
    assert [pair.name for pair in pairing.pairs] == ["one_PET", "two.5_PET"]
    assert not pairing.unmatched_infrared
    fused, unmatched = match_fused(fused_folder(tmp_path, "one_PET.png", "two.5_PET_fused.png"), pairing.pairs)
    assert (len(fused), unmatched) == (2, ())


def test_a_list_calls_packed_volumes_by_their_names(tmp_path: Path) -> None:
    for name in ("mr.nii.gz", "pet.nii.gz"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "pairs.csv").write_text("infrared,visible\nmr.nii.gz,pet.nii.gz\n")
    assert [pair.name for pair in read_pairs(tmp_path / "pairs.csv").pairs] == ["pet"]


def test_dicom_files_are_found_by_what_they_are(tmp_path: Path) -> None:
    for side in ("a", "b"):
        folder = tmp_path / side
        folder.mkdir()
        for name in ("IM0001", "1.2.840.12", "1.2.840.13"):
            (folder / name).write_bytes(bytes(128) + b"DICM" + side.encode())
        (folder / "README").write_bytes(b"no picture")
        (folder / "VERSION.2").write_bytes(bytes(200))
    pairs = find_pairing(tmp_path / "a", tmp_path / "b").pairs
    assert [(pair.name, pair.infrared.name) for pair in pairs] == [
        ("1.2.840.12", "1.2.840.12"), ("1.2.840.13", "1.2.840.13"), ("IM0001", "IM0001")
    ]  # fmt: skip


def fused_folder(place: Path, *names: str) -> Path:
    (place / "fused").mkdir()
    for name in names:
        (place / "fused" / name).write_bytes(b"")
    return place / "fused"
