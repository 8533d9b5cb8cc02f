"""The script that pins packages with the hashes of their files."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
A, B, C = (f"{digit}" * 64 for digit in "abc")
TEXT = f"""# made
Foo.Bar==1.0 ; sys_platform == 'linux' \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
torch==2.13.0 \\
    --hash=sha256:{A}
"""


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("scripts.lock")


def test_what_is_read_is_written(lock: Any) -> None:
    pins = lock.parse(TEXT)
    assert [(pin.key, pin.version, pin.marker, pin.hashes) for pin in pins] == [
        ("foo-bar", "1.0", "sys_platform == 'linux'", {A, B}),
        ("torch", "2.13.0", "", {A}),
    ]
    assert "# made\n" + "".join(f"{pin}\n" for pin in pins) == TEXT


def test_hashes_of_a_version_stay(lock: Any, tmp_path: Path) -> None:
    wheel = tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl"
    wheel.write_bytes(b"x")
    new = lock.parse(f"torch==2.13.0 \\\n --hash=sha256:{C}\nFoo_bar==1.1 \\\n --hash=sha256:{C}\n")
    found = {pin.key: pin.hashes for pin in lock.merged(new, [*lock.parse(TEXT), *lock.of_wheels([wheel])])}
    assert found == {"foo-bar": {C}, "torch": {A, C, hashlib.sha256(b"x").hexdigest()}}
    assert list(found) == ["foo-bar", "torch"]
    with pytest.raises(SystemExit, match="not the name of a wheel"):
        lock.of_wheels([tmp_path / "torch.zip"])


def test_the_files_of_the_repository_are_as_the_script_writes_them(lock: Any) -> None:
    for path in (lock.COMMON, lock.CUDA):
        text = path.read_text(encoding="utf-8")
        assert lock.HEADERS[path] + "".join(f"{pin}\n" for pin in lock.parse(text)) == text
