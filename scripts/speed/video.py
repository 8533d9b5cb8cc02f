"""The whole of a video beside its bare network: frames per second of both, in turn, and the memory over many frames.

``python -m scripts.speed.video INFRARED.mp4 VISIBLE.mp4 [--models auif,seafusion] [--frames 60] [--memory 0]`` prints a
table: for each method the rate of the network alone on prepared frames, that of reading, fusing, writing the video,
and the second as a share of the first, the median of rounds in which the two take turns. ``--memory 10000`` runs so
many frames of a stream instead and prints the resident memory of the process every tenth of them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import imfuse
from imfuse.fusing.engine import Prepared
from imfuse.imaging.inputs import Stored
from imfuse.video import Frame, fuse_video, open_frames, pair_frames

ROUNDS = 3


def prepared_frames(fuser: imfuse.Fuser, pairs: list[tuple[Frame, Frame]]) -> list[Prepared]:
    return [
        fuser.prepare(Stored(first.picture, "infrared"), Stored(second.picture, "visible")) for first, second in pairs
    ]


def network_rate(fuser: imfuse.Fuser, frames: list[Prepared]) -> float:
    started = time.perf_counter()
    for frame in frames:
        fuser.fuse_luminance(frame)
    return len(frames) / (time.perf_counter() - started)


def video_rate(fuser: imfuse.Fuser, infrared: Path, visible: Path, number: int) -> float:
    """From the first fused frame on: what is loaded before it is not a matter of the rate."""
    times: list[float] = []

    def show(picture: object, read: float) -> bool:
        times.append(time.perf_counter())
        return len(times) <= number

    with tempfile.TemporaryDirectory() as folder:
        fuse_video(fuser, infrared, visible, Path(folder) / "fused.mp4", show=show)
    return (len(times) - 1) / (times[-1] - times[0])


def compare(name: str, infrared: Path, visible: Path, number: int) -> str:
    fuser = imfuse.Fuser(name, range="steady")
    with open_frames(infrared) as first, open_frames(visible) as second:
        frames = prepared_frames(fuser, list(islice(pair_frames(first, second), min(number, 20))))
    network_rate(fuser, frames[:2])
    rounds = []
    for _ in range(ROUNDS):
        alone = network_rate(fuser, frames)
        rounds.append((alone, video_rate(fuser, infrared, visible, number)))
    alone, whole = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    share = statistics.median(whole / alone for alone, whole in rounds)
    return f"| {name} | {alone:.2f} | {whole:.2f} | {share:.0%} |"


def resident() -> int:
    """Megabytes of this process, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 // 2**20


def memory(name: str, infrared: Path, visible: Path, number: int) -> Iterator[str]:
    with open_frames(infrared) as first, open_frames(visible) as second:
        pairs = list(islice(pair_frames(first, second), 50))
    sources = [islice(cycle([pair[side].picture for pair in pairs]), number) for side in (0, 1)]
    for done, _ in enumerate(imfuse.stream(*sources, model=name), 1):
        if done % max(number // 10, 1) == 0:
            yield f"| {done} | {resident()} |"


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("infrared", type=Path)
    parser.add_argument("visible", type=Path)
    parser.add_argument("--models", default="laplacian_pyramid,auif,seafusion")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--memory", type=int, default=0)
    arguments = parser.parse_args()
    names = arguments.models.split(",")
    if arguments.memory:
        print("| frames | MiB |\n|---:|---:|")
        for line in memory(names[0], arguments.infrared, arguments.visible, arguments.memory):
            print(line, flush=True)
        return
    print("| method | network, frames/s | video, frames/s | share |\n|---|---:|---:|---:|")
    for name in names:
        print(compare(name, arguments.infrared, arguments.visible, arguments.frames), flush=True)


if __name__ == "__main__":
    main()
