"""Pin all packages that the tests run with, each with the SHA-256 of its files: constraints.txt, constraints-cuda.txt.

`python -m scripts.lock` adds what pyproject.toml asks for and the two files lack, drops what nothing asks for, and
keeps all other versions; `--upgrade` renews them. Needs uv (`pip install uv`), which asks the package index for
versions and hashes for all systems and Pythons.

The hashes of a version stay when the lock is made again: an index besides the usual one may offer builds of its own,
such as PyTorch's for processors alone. `--wheel FILE` adds the hash of such a file.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = "3.11.7"
COMMON, CUDA = ROOT / "constraints.txt", ROOT / "constraints-cuda.txt"
HEADERS = {
    COMMON: "# The versions that the tests run with, and the SHA-256 of their files; `make` installs nothing else.\n"
    "# Made by `python -m scripts.lock`; users need not install by it.\n",
    CUDA: "# What the build of PyTorch for CUDA needs besides, on Linux alone. Made by `python -m scripts.lock`.\n",
}
_OF_CUDA = re.compile(r"(?:nvidia|cuda)-|triton$")
_LINE = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))? *\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_WHEEL = re.compile(r"(?P<name>\w+)-(?P<version>[^-+]+)(?:\+[^-]+)?-.*\.whl")


@dataclass(frozen=True)
class Pin:
    """A package in one version, and the SHA-256 of the files that may be installed."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]

    @property
    def key(self) -> str:
        """The name by which packages are compared."""
        return normalised(self.name)

    def __str__(self) -> str:
        head = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        return " \\\n    ".join((head, *(f"--hash=sha256:{digest}" for digest in sorted(self.hashes))))


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def parse(text: str) -> list[Pin]:
    """The pins of a lock file, in its order; comments are dropped."""
    pins: list[Pin] = []
    for line in text.splitlines():
        if match := _LINE.match(line):
            pins.append(Pin(match["name"], match["version"], match["marker"] or "", frozenset()))
        if found := _HASH.findall(line):
            pins[-1] = replace(pins[-1], hashes=pins[-1].hashes | set(found))
    return pins


def merged(new: Iterable[Pin], old: Iterable[Pin]) -> list[Pin]:
    """The new pins by name, with the hashes that the old ones had of the same version."""
    known: dict[tuple[str, str], frozenset[str]] = {}
    for pin in old:
        known[pin.key, pin.version] = known.get((pin.key, pin.version), frozenset()) | pin.hashes
    pins = [replace(pin, hashes=pin.hashes | known.get((pin.key, pin.version), frozenset())) for pin in new]
    return sorted(pins, key=lambda pin: pin.key)


def of_wheels(wheels: Iterable[Path]) -> list[Pin]:
    """Pins of wheels at hand, whatever local version (`+cpu`) they are of."""
    pins = []
    for wheel in wheels:
        match = _WHEEL.fullmatch(wheel.name)
        if match is None:
            raise SystemExit(f"{wheel}: not the name of a wheel")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        pins.append(Pin(match["name"], match["version"], "", frozenset({digest})))
    return pins


def resolve(old: list[Pin], upgrade: bool) -> list[Pin]:
    """Ask the package index, by uv, what `pyproject.toml` needs on any system."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        raise SystemExit("uv is not installed: pip install uv")
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.txt"
        kept.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in old), encoding="utf-8")
        command = [uv, "pip", "compile", "pyproject.toml", "--extra", "dev", "--extra", "docs", "--universal"]
        command += ["--python-version", OLDEST_PYTHON, "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
        command += [] if upgrade else ["--constraint", str(kept)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return parse(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="renew all versions")
    parser.add_argument("--wheel", type=Path, action="append", default=[], help="a file whose hash is added")
    arguments = parser.parse_args()
    old = [pin for path in (COMMON, CUDA) if path.is_file() for pin in parse(path.read_text(encoding="utf-8"))]
    pins = merged(resolve(old, arguments.upgrade), [*old, *of_wheels(arguments.wheel)])
    for path in (COMMON, CUDA):
        part = [pin for pin in pins if bool(_OF_CUDA.match(pin.key)) == (path == CUDA)]
        path.write_text(HEADERS[path] + "".join(f"{pin}\n" for pin in part), encoding="utf-8")
        print(f"{path.name}: {len(part)} packages, {sum(len(pin.hashes) for pin in part)} files")


if __name__ == "__main__":
    main()
