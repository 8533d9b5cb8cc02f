"""``imfuse fuse``: two files, or two folders, into one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from imfuse.cli._fusing import (
    DeviceOption,
    DtypeOption,
    GrayOption,
    MethodOption,
    ModelOption,
    OrderOption,
    PaletteOption,
    RangeOption,
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
from imfuse.core.files import stem_of
from imfuse.core.registry import get_spec
from imfuse.core.weights import model_of

if TYPE_CHECKING:
    from imfuse.fusing.fuser import Fuser
    from imfuse.fusing.settings import Metadata


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
    model: ModelOption = None,
    weights: WeightsOption = "default",
    option: MethodOption = None,
    range_: RangeOption = "auto",
    visible_range: VisibleRangeOption = "auto",
    bits: Annotated[int, typer.Option(metavar="8|16", help="Bits of the result.")] = 8,
    gray: GrayOption = False,
    resize: ResizeOption = None,
    fit: Annotated[
        str,
        typer.Option(
            metavar="mirror|zero|resize", help="How sizes of the network are reached; zero, resize: as some released."
        ),
    ] = "mirror",
    tile: TileOption = "auto",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
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
