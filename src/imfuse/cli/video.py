"""``imfuse video``: two videos, or two cameras, into one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from imfuse.cli._fusing import (
    DeviceOption,
    DtypeOption,
    GrayOption,
    MethodOption,
    ModelOption,
    OrderOption,
    PaletteOption,
    ResizeOption,
    StrictOption,
    TileOption,
    VisibleRangeOption,
    WeightsOption,
    parse_bits,
    parse_options,
    parse_tile,
    set_threads,
)
from imfuse.cli._printing import say, tell, warn
from imfuse.cli._rig import OutsideOption, RigOption
from imfuse.cli._terminal import bar_of, count
from imfuse.core.errors import VideoError
from imfuse.core.registry import get_spec
from imfuse.core.text import printable
from imfuse.core.weights import model_of

if TYPE_CHECKING:
    from imfuse.video.run import VideoProgress, VideoReport
    from imfuse.video.window import Window

_EVERY = 10.0
"""Seconds between two lines on the progress, where there is no terminal."""


def video(
    infrared: Annotated[
        str, typer.Argument(help="File, folder of frames, frames/%04d.png, /dev/video0, rtsp://..., or - for a pipe.")
    ],
    visible: Annotated[str, typer.Argument(help="The same of the visible camera: its times and its sound are kept.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Result, .mp4, .mov or .mkv. Default: NAME_fused.mp4 here; with --show nothing.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = None,
    weights: WeightsOption = "default",
    option: MethodOption = None,
    range_: Annotated[
        str,
        typer.Option(
            "--range",
            help="What of the infrared becomes black and white: steady follows the percentiles slowly; or as for fuse.",
        ),
    ] = "steady",
    visible_range: VisibleRangeOption = "auto",
    max_gap: Annotated[float, typer.Option(min=0, help="Seconds that two frames of a pair may lie apart.")] = 0.1,
    rate: Annotated[
        float | None, typer.Option(help="Frames per second of sources that do not say it. Default: 25.")
    ] = None,
    raw: Annotated[
        str | None,
        typer.Option(metavar="WxH:FORMAT", help="Of - : size and gray, gray16le, rgb24 or bgr24."),
    ] = None,
    codec: Annotated[str, typer.Option(metavar="h264|ffv1", help="ffv1 loses nothing, for .mkv.")] = "h264",
    quality: Annotated[int, typer.Option(min=0, max=51, help="Of H.264; less is better, and larger.")] = 18,
    pixel_format: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the codec, such as yuv444p. Default: what players take.")
    ] = None,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Infrared, visible and fused beside each other.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Open a window; q closes it. Of cameras the newest wins.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue what an interrupted run left, at its last whole second.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Redo finished results and replace other files.")
    ] = False,
    smooth: Annotated[bool, typer.Option("--smooth", help="Filter over time where nothing moves.")] = False,
    bits: Annotated[int, typer.Option(metavar="8|16", help="Bits of the result; 16 for ffv1.")] = 8,
    gray: GrayOption = False,
    resize: ResizeOption = None,
    rig: RigOption = None,
    outside: OutsideOption = "visible",
    strict: StrictOption = False,
    order: OrderOption = "check",
    infrared_palette: PaletteOption = "auto",
    tile: TileOption = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Most frames that the network takes at once, on a GPU.")] = 1,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the network. Default: all cores.")] = None,
) -> None:
    """Fuse two videos of a registered pair of cameras, or with --rig of any two fixed ones, frame by frame.

    Each visible frame gets the infrared one that was taken nearest to it. What is done is in NAME.part-000.mp4 until
    the end, which can be played whatever happens, and which --resume continues.
    """
    model = model or model_of(weights)
    options = parse_options(option or [])
    get_spec(model).check_options(options)
    parsed_tile = parse_tile(tile)
    if infrared == visible == "-":
        raise VideoError("- and -: one of the two sources can be the standard input")
    if threads is not None:
        set_threads(threads)
    from imfuse.fusing.alignment import checked_outside
    from imfuse.fusing.fuser import Fuser
    from imfuse.fusing.sides import checked_order
    from imfuse.imaging._resize import checked_resize
    from imfuse.video.run import fuse_video

    fuser = Fuser(
        model,
        weights,
        device,
        dtype,
        range_,
        parsed_tile,
        visible_range=visible_range,
        gray=gray,
        bits=parse_bits(bits),
        resize=checked_resize(resize or False),
        strict=strict,
        order=checked_order(order),
        infrared_palette=infrared_palette,
        rig=rig,
        outside=checked_outside(outside),
        **options,
    )
    window = _window(f"{infrared} + {visible}") if show else None
    target = output if output is not None or show else Path(f"{Path(visible).stem or 'video'}_fused.mp4")
    with _progress() as progress:
        report = fuse_video(
            fuser,
            infrared,
            visible,
            target,
            rate=rate,
            raw=raw,
            max_gap=max_gap,
            codec=codec,
            quality=quality,
            pixel_format=pixel_format,
            side_by_side=side_by_side,
            resume=resume,
            overwrite=overwrite,
            batch=batch,
            smooth=smooth,
            show=window,
            progress=progress,
        )
    _conclude(report, window)


def _window(title: str) -> Window:
    from imfuse.video.window import Window

    return Window(f"imfuse: {printable(title)}")


@contextmanager
def _progress() -> Iterator[Callable[[VideoProgress], None]]:
    """A bar on a terminal; elsewhere a line now and then."""
    with bar_of("frames") as bar:
        if bar is not None:
            yield lambda step: bar(step.done, step.total)
            return
        started = last = monotonic()

        def line(step: VideoProgress) -> None:
            nonlocal last
            now = monotonic()
            if now - last >= _EVERY:
                last = now
                tell(progress_line(step.done, step.total, now - started))

        yield line


def progress_line(done: int, total: int | None, elapsed: float) -> str:
    """How far a run is.

    >>> progress_line(300, 1200, 10), progress_line(300, None, 10)
    ('imfuse: 300 of 1200 frames, 30.0 frames/s, 0:30 left', 'imfuse: 300 frames, 30.0 frames/s')
    """
    rate = done / elapsed if elapsed else 0.0
    text = f"imfuse: {done}{f' of {total}' if total else ''} frames, {rate:.1f} frames/s"
    if not (total and rate):
        return text
    left = round(max(total - done, 0) / rate)
    hours, minutes, seconds = left // 3600, left // 60 % 60, left % 60
    return f"{text}, {f'{hours}:{minutes:02}' if hours else minutes}:{seconds:02} left"


def _conclude(report: VideoReport, window: Window | None) -> None:
    if report.finished:
        say(f"{report.output}: finished before, nothing to do (--overwrite redoes it)")
        return
    for number, noun, why in (
        (report.dropped_visible, "visible frame", "without an infrared one near enough"),
        (report.dropped_infrared, "infrared frame", "that no visible one was nearest to"),
        (report.late, "frame", "behind a later one"),
        (report.dropped_live, "pair", "that came too fast"),
    ):
        if number:
            warn(f"dropped: {count(number, noun)} {why}")
    height, width = report.size
    parts = [f"{report.output or 'shown'}: {width}x{height}", count(report.written, "frame")]
    parts[1] += f" ({report.rate:.1f} frames/s)"
    if report.resumed:
        parts.append(f"{report.resumed} kept")
    if report.output is not None:
        parts.append("with the sound of the visible one" if report.sound else "no sound")
    if window is not None:
        parts.append(f"latency {window.latency:.0f} ms")
        window.close()
    say(", ".join(parts))
