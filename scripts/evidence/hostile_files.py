"""What hostile weights, checkpoints and settings cost: time and peak memory of reading each, in a process of its own.

``python -m scripts.evidence.hostile_files`` makes the largest files that are read, then changes bytes of small ones, as
many of each format as ``--count`` says, and prints the slowest and the most expensive of each. Anything but a result or
an error of this library is printed with the file's number. It needs Linux and 7 GiB of disk.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import os
import random
import struct
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save as save_safetensors

from imfuse.core.checkpoint import read_checkpoint
from imfuse.core.errors import ImfuseError, RecipeError
from imfuse.core.yaml_input import MAX_BYTES, MAX_NODES, read_yaml
from imfuse.imaging import read_image
from imfuse.training.recipe import load_recipe

GIB = 1 << 30


class Cost(NamedTuple):
    """Of reading one file: processor seconds, MiB beyond what the process had, and how it ended."""

    seconds: float
    peak: int
    outcome: str


def cost(read: Callable[[], object]) -> Cost:
    """Run a reader in a forked process."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        Path("/proc/self/clear_refs").write_text("5")
        before, started = _peak(), time.process_time()
        try:
            read()
            outcome = "read"
        except ImfuseError as error:
            outcome = "refused" if str(error).isprintable() else "REFUSED IN ODD WORDS"
        except BaseException as error:
            outcome = f"ENDED IN {type(error).__name__}"
        os.write(sender, json.dumps([time.process_time() - started, _peak() - before, outcome]).encode())
        os._exit(0)
    os.close(sender)
    _, status = os.waitpid(child, 0)
    with os.fdopen(receiver, "rb") as stream:
        answer = stream.read()
    return Cost(*json.loads(answer)) if answer else Cost(0, 0, f"DIED OF {status}")


def _peak() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) >> 10


def largest(folder: Path) -> None:
    """Files at the bounds, of which there is one on the disk at a time."""
    file = folder / "largest.pth"
    for legacy in (False, True):
        for count in (1, 512):
            # In another process, whose memory is not taken for that of reading.
            cost(lambda: save_large(file, count, legacy))  # noqa: B023
            kind = "before 2020" if legacy else "zip"
            report(f"PyTorch, {kind}, 2 GiB in {count} tensors", cost(lambda: read_checkpoint(file)))
    file.unlink()
    file = folder / "largest.safetensors"
    with file.open("wb") as stream:
        size = 2 * GIB - (1 << 20)
        text = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(stream.tell() + size)
    report("safetensors, 2 GiB", cost(lambda: read_checkpoint(file)))
    file.unlink()
    file = folder / "steps.pth"
    torch.save({f"w{i}": [None] * 99 for i in range(4600)}, file)
    report("PyTorch, 490,000 steps of a pickle", cost(lambda: read_checkpoint(file)))
    recipe = folder / "largest.yaml"
    recipe.write_text("- a\n" * (MAX_NODES - 1))
    report("YAML, most values", cost(lambda: read_yaml(recipe, RecipeError, "a recipe")))
    recipe.write_text("\n" * MAX_BYTES)
    report("YAML, largest", cost(lambda: read_yaml(recipe, RecipeError, "a recipe")))


def largest_pictures(folder: Path) -> None:
    """Whole pictures of 100 megapixels, in the forms that take the most."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 4), np.uint8)
    picture = Image.fromarray(np.tile(noise, (10, 10, 1)), "CMYK")
    picture.save(folder / "largest.jpg", quality=50, progressive=True)
    picture.convert("RGB").save(folder / "largest.png", compress_level=1)
    for name in ("largest.jpg", "largest.png"):
        file = folder / name
        report(f"{file.suffix[1:]}, 100 megapixels", cost(lambda: read_image(file)))  # noqa: B023
        file.unlink()


def save_large(file: Path, count: int, legacy: bool) -> None:
    """A checkpoint of 2 GiB, less a little for all but the numbers."""
    side = (2 * GIB - (1 << 20)) // 4 // count
    state = {f"w{i}": torch.zeros(side) for i in range(count)}
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)


def report(name: str, found: Cost) -> None:
    """Print a line."""
    print(f"{name:42s} {found.seconds:6.2f} s {found.peak:6d} MiB  {found.outcome}", flush=True)


def changed(data: bytes, generator: random.Random) -> bytes:
    """The bytes with a few of them set, taken out or put in, or cut short."""
    content = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 4, 8))):
        place = generator.randrange(len(content))
        kind = generator.randrange(6)
        if kind == 0:
            content[place] ^= 1 << generator.randrange(8)
        elif kind == 1:
            content[place] = generator.choice((0, 127, 128, 255))
        elif kind == 2:
            content[place : place + 8] = b"\xff" * 8
        elif kind == 3:
            del content[place : place + generator.randrange(1, 20)]
        elif kind == 4:
            content[place:place] = generator.randbytes(generator.randrange(1, 12))
        else:
            content = content[: max(place, 1)]
        content = content or bytearray(b"x")
    return bytes(content)


def with_pickle(archive: bytes, code: bytes) -> bytes:
    """A zip file of PyTorch with another pickle, and true checksums."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, code if name.endswith("data.pkl") else old.read(name))
    return stream.getvalue()


def sound_files() -> dict[str, tuple[bytes, Callable[[bytes], bytes]]]:
    """By the name of a file of each format the bytes to change, and what makes a file of these."""
    state = {"conv.weight": torch.rand(4, 1, 3, 3), "conv.bias": torch.rand(4), "step": torch.tensor(3)}
    content = {"state_dict": state, "epoch": 3, "betas": (0.9, 0.999)}
    files: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {}
    for legacy, name in ((False, "zip.pth"), (True, "legacy.pth")):
        stream = io.BytesIO()
        torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
        files[name] = stream.getvalue(), bytes
    archive = files["zip.pth"][0]
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        code = opened.read(next(name for name in opened.namelist() if name.endswith("data.pkl")))
    files["pickle.pth"] = code, functools.partial(with_pickle, archive)
    files["weights.safetensors"] = save_safetensors(state, {"model": "auif"}), bytes
    files["recipe.yaml"] = load_recipe("auif").to_yaml().encode(), bytes
    return files


def fuzz(folder: Path, count: int, seed: int) -> None:
    """Change bytes and print the worst that came of it."""
    generator = random.Random(seed)
    for name, (sound, make) in sound_files().items():
        file = folder / name
        slowest, dearest = Cost(0, 0, ""), Cost(0, 0, "")
        outcomes: dict[str, int] = {}
        for number in range(count):
            file.write_bytes(make(changed(sound, generator)))
            found = cost(lambda: load_recipe(file) if file.suffix == ".yaml" else read_checkpoint(file))  # noqa: B023
            outcomes[found.outcome] = outcomes.get(found.outcome, 0) + 1
            if found.outcome not in ("read", "refused"):
                print(f"{name}: number {number} of seed {seed}: {found.outcome}", file=sys.stderr)
            slowest, dearest = max(slowest, found), max(dearest, found, key=lambda one: one.peak)
        ends = ", ".join(f"{many} {outcome}" for outcome, many in sorted(outcomes.items()))
        print(f"{name:22s} slowest {slowest.seconds:5.2f} s, highest peak {dearest.peak:4d} MiB; {ends}", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2500, help="changed files of each format")
    parser.add_argument("--seed", type=int, default=0, help="of the changes")
    parser.add_argument("--skip-largest", action="store_true", help="only the changed files")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.skip_largest:
            largest(Path(folder))
            largest_pictures(Path(folder))
        fuzz(Path(folder), arguments.count, arguments.seed)


if __name__ == "__main__":
    main()
