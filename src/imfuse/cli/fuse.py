"""``imfuse fuse``: two files, or two folders, into one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from imfuse.cli._printing import say
from imfuse.cli._reading import (
    AmbientOption,
    DistanceOption,
    EmissivityOption,
    FrameOption,
    HumidityOption,
    ReflectedOption,
    SliceOption,
    UnitsOption,
    WindowOption,
    conditions_of,
)
from imfuse.cli._rig import OutsideOption, RigOption
from imfuse.cli._sources import PairsOption, RecursiveOption, Sources, given_sources
from imfuse.cli._terminal import closing_line, progress_bar, warn_of_problems
from imfuse.core.errors import ImfuseError, ModelError
from imfuse.core.files import stem_of
from imfuse.core.registry import DEFAULT_MODEL, get_spec
from imfuse.core.weights import model_of

if TYPE_CHECKING:
    from imfuse.fusing.fuser import Fuser
    from imfuse.fusing.settings import Metadata

RANGES = "auto, full, percentile, minmax, LOW,HIGH, or in degrees LOWC,HIGHC"
ResizeOption = Annotated[
    str | None,
    typer.Option(
        "--resize",
        metavar="stretch|crop|pad",
        help="Bring the infrared to the size of the visible one; a word says how where the aspect ratios differ.",
        show_default=False,
    ),
]
OrderOption = Annotated[
    str, typer.Option("--order", metavar="check|given", help="given: take pairs that look swapped as they are.")
]
RangeOption = Annotated[str, typer.Option("--range", help=f"What of the infrared becomes black and white: {RANGES}.")]
VisibleRangeOption = Annotated[str, typer.Option("--visible-range", help="The same for the visible picture.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="A pair with a warning is an error.")]
PaletteOption = Annotated[
    str,
    typer.Option(
        "--infrared-palette",
        metavar="auto|none|NAME",
        help="What the colours of an infrared picture mean, such as ironbow.",
    ),
]


def fuse(
    infrared: Annotated[
        Path | None,
        typer.Argument(help="Infrared picture, or folder of them; alone if it holds both.", show_default=False),
    ] = None,
    visible: Annotated[
        Path | None, typer.Argument(help="Visible picture, or folder: its colours are kept.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Result. Default: NAME_fused.png here; for folders the folder fused."),
    ] = None,
    recursive: RecursiveOption = False,
    pairs: PairsOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Method; imfuse models lists them. Default: {DEFAULT_MODEL}, or what a file of weights is for.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[str, typer.Option(help="Name of shipped weights, or a .safetensors file.")] = "default",
    option: Annotated[
        list[str] | None,
        typer.Option("-O", "--option", metavar="KEY=VALUE", help="Option of the method, such as rule=average."),
    ] = None,
    range_: RangeOption = "auto",
    visible_range: VisibleRangeOption = "auto",
    bits: Annotated[int, typer.Option(metavar="8|16", help="Bits of the result.")] = 8,
    gray: Annotated[bool, typer.Option("--gray", help="Gray results, without the colours of the visible one.")] = False,
    resize: ResizeOption = None,
    fit: Annotated[
        str,
        typer.Option(
            metavar="mirror|zero|resize", help="How sizes of the network are reached; zero, resize: as some released."
        ),
    ] = "mirror",
    tile: Annotated[str, typer.Option(metavar="N|auto|off", help="Side of tiles for large pictures.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto or one that imfuse models lists, such as bfloat16.")] = "auto",
    strict: StrictOption = False,
    order: OrderOption = "check",
    infrared_palette: PaletteOption = "auto",
    rig: RigOption = None,
    outside: OutsideOption = "visible",
    infrared_bands: Annotated[
        str | None, typer.Option(metavar="N", help="Which band of the first picture is meant, such as 4.")
    ] = None,
    visible_bands: Annotated[
        str | None, typer.Option(metavar="N,N,N", help="Which of the second, such as 1,2,3.")
    ] = None,
    units: UnitsOption = "auto",
    frame: FrameOption = None,
    slice_: SliceOption = None,
    window: WindowOption = None,
    emissivity: EmissivityOption = None,
    distance: DistanceOption = None,
    reflected: ReflectedOption = None,
    ambient: AmbientOption = None,
    humidity: HumidityOption = None,
    metadata: Annotated[
        str, typer.Option(metavar="keep|strip", help="EXIF, GPS, XMP and colour profile of the visible picture.")
    ] = "keep",
    deidentify: Annotated[
        bool, typer.Option(help="DICOM results name nobody, or have patient and study of the source.")
    ] = True,
    visible_palette: Annotated[
        str, typer.Option(metavar="none|NAME", help="Paint a gray visible picture (PET, SPECT), such as in hot.")
    ] = "none",
    align: Annotated[
        bool, typer.Option("--align", help="Align each pair by its two pictures alone; refused if evidence is weak.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Redo finished results and replace other files.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read, and as many that write.")] = 2,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the network. Default: all cores.")] = None,
    max_megapixels: Annotated[float, typer.Option(min=0, help="Largest picture that is read.")] = 100.0,
) -> None:
    """Fuse a registered pair of pictures, or two folders of them paired by name, or the pairs of a list.

    Pairs of two fixed cameras that are not registered take --rig, from imfuse align.

    A folder can be interrupted and run again: finished results are kept, others are made.
    """
    given = given_sources(infrared, visible, pairs, recursive, alone=True)
    model = model or model_of(weights)
    options: dict[str, Any] = {**parse_options(option or [])}
    get_spec(model).check_options(options)
    parsed_tile = parse_tile(tile)
    # Torch takes seconds to import: what is wrong with the command line comes first.
    if threads is not None:
        set_threads(threads)
    from imfuse.fusing.alignment import checked_outside
    from imfuse.fusing.fuser import Fuser
    from imfuse.fusing.sides import checked_order
    from imfuse.fusing.sizes import checked_fit
    from imfuse.imaging._resize import checked_resize

    fuser = Fuser(
        model,
        weights,
        device=device,
        dtype=dtype,
        range=range_,
        visible_range=visible_range,
        tile=parsed_tile,
        gray=gray,
        bits=parse_bits(bits),
        resize=checked_resize(resize or False),
        fit=checked_fit(fit),
        max_pixels=round(max_megapixels * 1e6),
        strict=strict,
        order=checked_order(order),
        infrared_palette=infrared_palette,
        infrared_bands=infrared_bands,
        visible_bands=visible_bands,
        units=units,
        frame=frame,
        slice=slice_,
        window=window,
        conditions=conditions_of(emissivity, distance, reflected, ambient, humidity),
        metadata=cast("Metadata", metadata),
        deidentify=deidentify,
        visible_palette=visible_palette,
        align=align,
        rig=rig,
        outside=checked_outside(outside),
        **options,
    )
    if given.folders:
        _fuse_folders(fuser, given, output or Path("fused"), overwrite=overwrite, workers=workers)
    else:
        _fuse_files(fuser, *given.files, output, overwrite=overwrite)


def _fuse_files(fuser: Fuser, infrared: Path, visible: Path, output: Path | None, *, overwrite: bool) -> None:
    name = f"{stem_of(visible)}_fused.png"
    out = Path(name) if output is None else output / name if output.is_dir() else output
    if fuser.files(infrared, visible, out, overwrite=overwrite):
        from imfuse.imaging import image_size, read_metadata

        height, width = image_size(out)
        say(", ".join([f"{out}: {width}x{height}", *_shown(read_metadata(out))]))
    else:
        say(f"{out}: finished before, nothing to do (--overwrite redoes it)")


def _shown(metadata: Mapping[str, str]) -> list[str]:
    """Which values became black and white, where the file can tell; of 8 visible bits that is no news."""
    texts = [(side, metadata.get(f"imfuse:{side}-range", "0,255")) for side in ("infrared", "visible")]
    limits = [
        f"{side} {'..'.join(_short(value) for value in text.split(','))}"
        for side, text in texts
        if side == "infrared" or text != "0,255"
    ]
    return [f"{' and '.join(limits)} shown as black..white"] if "imfuse:infrared-range" in metadata else []


def _short(value: str) -> str:
    """A limit in few digits, with its unit."""
    return f"{float(value.removesuffix('C')):g}" + ("C" if value.endswith("C") else "")


def _fuse_folders(fuser: Fuser, given: Sources, out: Path, *, overwrite: bool, workers: int) -> None:
    with progress_bar() as progress:
        report = fuser.folder(
            given.infrared,
            given.visible,
            out,
            recursive=given.recursive,
            pairs=given.pairs,
            overwrite=overwrite,
            progress=progress,
            workers=workers,
        )
    warn_of_problems(report)
    say(closing_line(report, "fused", out))
    if report.failed:
        raise typer.Exit(1)


def parse_options(words: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` words; raises ``ModelError``."""
    pairs = [word.partition("=") for word in words]
    for word, (key, equals, _) in zip(words, pairs, strict=True):
        if not key.isidentifier() or not equals:
            raise ModelError(f"--option {word!r}: KEY=VALUE is expected, such as rule=average")
    return {key: value for key, _, value in pairs}


def parse_tile(text: str) -> Any:
    """Side of tiles; raises ``ModelError``."""
    if text in ("auto", "off"):
        return text
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ModelError(f"--tile {text!r}: a number of pixels, auto or off is expected")
    return int(text)


def parse_bits(bits: int) -> Literal[8, 16]:
    """Bits of a result; raises ``ImfuseError``."""
    if bits == 8:
        return 8
    if bits == 16:
        return 16
    raise ImfuseError(f"--bits {bits}: 8 or 16 is expected")


def set_threads(threads: int) -> None:
    """So many threads for networks and pictures."""
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
