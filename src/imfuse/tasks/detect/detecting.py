"""Objects in fused pictures: of a pair, of two folders of them, and of a folder of pictures made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imfuse.core.errors import ImageError, MetricError, PairError
from imfuse.core.files import optional_path, stem_of
from imfuse.core.text import printable
from imfuse.fusing.alignment import refuse_cropped_labels
from imfuse.fusing.folder import FolderReport, Progress, run_folder, run_pair
from imfuse.fusing.folder_pairs import folder_pairs, is_same, source_folders
from imfuse.fusing.fuser import Fuser
from imfuse.imaging import Pair, Pairing, RangeLike, as_range, read_metadata
from imfuse.imaging.inputs import PathLike
from imfuse.imaging.pairs import pair_with_itself
from imfuse.metrics.detection import DetectionScores
from imfuse.tasks.detect.drawing import DRAWN
from imfuse.tasks.detect.finder import Finder
from imfuse.tasks.detect.finding import BOXES, DRAWN_IN, LABELS, Finding, FindingTask, FusingAndFinding, Truth
from imfuse.tasks.detect.labels import COCO_START, PictureBoxes, label_file, write_coco

COCO_FILE = "coco.json"
"""All boxes of a run, in its folder of results."""


@dataclass(frozen=True)
class DetectionReport(FolderReport):
    """What became of the pictures of a folder: a ``FolderReport``, and how well objects were found.

    Args:
        written: pairs whose results were made, by name.
        skipped: pairs whose results an earlier run with the same files and settings had made.
        failed: pairs that could not be done, or not be compared with their labels, each with a line that says why.
        warnings: pairs that were done with a doubt, each with a line that says what and why.
        unmatched_infrared: names of infrared files without a partner.
        unmatched_visible: names of visible files without a partner.
        seconds: wall time.
        boxes: those of every picture that was done, now or before, by name, with its size.
        unlabelled: pictures that no file of labels is for; empty where no labels were given.
        lacking: classes of the protocol that the detector cannot find, which are left out.
        scores: average precision; ``None`` where no labels were given, or pictures failed and no other can be scored.

    Example:
        >>> from imfuse.core.boxes import Boxes
        >>> one = PictureBoxes(Boxes.of([[0, 0, 8, 8]], [2]), (64, 96))
        >>> report = DetectionReport(written=("01",), boxes={"01": one})
        >>> report.boxes["01"].boxes.classes.tolist()
        [2]
    """

    boxes: dict[str, PictureBoxes] = field(default_factory=dict)
    unlabelled: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    scores: DetectionScores | None = None


def detect_files(
    detector: Finder,
    fuser: Fuser,
    infrared: PathLike,
    visible: PathLike,
    output: PathLike,
    *,
    drawn: float = DRAWN,
    overwrite: bool = False,
) -> DetectionReport:
    """Fuse two files and find the objects in the result; what is written :func:`detect_folder` says.

    Args:
        detector: what finds.
        fuser: what fuses.
        infrared: the infrared file.
        visible: the visible one; its stem is NAME.
        output: folder of the results.
        drawn: the smallest score of a box that is drawn.
        overwrite: redo finished results and replace other files.

    Returns:
        Its boxes, with the name in ``written``, or in ``skipped`` where an earlier run had made them.

    Raises:
        ImageError: a file cannot be read or written, or a file in the way was not made by imfuse and ``overwrite`` is
            off.
        PairError: the two differ in size and the fuser does not resize.
        ModelError: the memory does not suffice, or the detector fails.

    Example:
        ```python
        detect_files(Detector("yolo11n.onnx"), imfuse.Fuser(), "ir.png", "vis.png", "found/")
        ```
    """
    pair = Pair(stem_of(Path(visible)), Path(infrared), Path(visible))
    out, task = Path(output), FusingAndFinding(detector, fuser, None, drawn)
    _check_others(out, [pair.name], overwrite)
    written = run_pair(task, pair, (out / DRAWN_IN / f"{pair.name}.png",), overwrite=overwrite)
    pairing = Pairing((pair,), (), ())
    names = (pair.name,)
    return _concluded(task, FolderReport(names if written else (), () if written else names), pairing, out)


def detect_folder(
    detector: Finder,
    fuser: Fuser,
    infrared: PathLike | None,
    visible: PathLike | None,
    output: PathLike,
    *,
    recursive: bool = False,
    pairs: PathLike | None = None,
    truth: Truth | None = None,
    drawn: float = DRAWN,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
    workers: int = 2,
) -> DetectionReport:
    """Fuse two folders, paired by name or by a list, and find the objects in the results.

    Of each pair ``output`` gets ``labels/NAME.txt`` (YOLO text with confidences) and ``boxes/NAME.png`` (the fused
    picture with boxes drawn in), and of all of this run ``coco.json``. Results that an earlier run with the same files
    and settings left are skipped unless ``overwrite``. A pair that fails is reported and the others continue.

    Args:
        detector: what finds.
        fuser: what fuses.
        infrared: folder of infrared pictures; with ``pairs`` it may be ``None``.
        visible: folder of visible pictures; the same.
        output: folder of the results.
        recursive: look into sub-folders as well, those of labels too; results keep the sub-folder.
        pairs: a list of pairs, CSV or JSON Lines, as :func:`imfuse.imaging.read_pairs` takes it.
        truth: true boxes to compare with.
        drawn: the smallest score of a box that is drawn.
        overwrite: redo finished results and replace other files.
        progress: called before the first pair and after each.
        workers: threads that read ahead, and as many that write.

    Returns:
        What became of each pair, and the scores where ``truth`` is given.

    Raises:
        PairError: the folders do not belong together, results would go into one of them, or no label is of a picture.
        ImageError: a folder of results cannot be made, or a file in the way was not made by imfuse.
        MetricError: nothing can be scored: no box of the protocol's classes, or a detector that has none of them.

    Warns:
        ImfuseWarning: pairs were found by a rule that may be wrong.

    Example:
        ```python
        report = detect_folder(
            Detector("yolo11n.onnx"), imfuse.Fuser(), "ir/", "vi/", "found/", truth=Truth(Path("labels"))
        )
        print(report.scores.mean.ap50)
        ```
    """
    ir, vi, out = optional_path(infrared), optional_path(visible), Path(output)
    pairing = folder_pairs(fuser, ir, vi, recursive=recursive, pairs=optional_path(pairs), without=(out,))
    if truth is not None:
        refuse_cropped_labels(fuser.rig, fuser.outside)
    task = FusingAndFinding(detector, fuser, truth, drawn)
    settings: dict[str, Any] = {"overwrite": overwrite, "progress": progress, "workers": workers}
    return _run(task, pairing, out, source_folders(pairing, ir, vi), settings)


def detect_fused(
    detector: Finder,
    fused: PathLike,
    output: PathLike,
    *,
    range: RangeLike = "auto",
    recursive: bool = False,
    truth: Truth | None = None,
    drawn: float = DRAWN,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
    workers: int = 2,
) -> DetectionReport:
    """Find the objects in the pictures of a folder, fused elsewhere or those of one camera alone.

    Args:
        detector: what finds.
        fused: folder of the pictures.
        output: folder of the results, which are those of :func:`detect_folder`.
        range: what of pictures of more than 8 bits becomes 0 and 1, as for ``imfuse.imaging.to_unit``.
        recursive: look into sub-folders as well.
        truth: true boxes to compare with.
        drawn: the smallest score of a box that is drawn.
        overwrite: redo finished results and replace other files.
        progress: called before the first picture and after each.
        workers: threads that read ahead, and as many that write.

    Returns:
        What became of each picture, and the scores where ``truth`` is given.

    Raises:
        PairError, ImageError, MetricError: as :func:`detect_folder`.

    Example:
        ```python
        for side in ("ir", "vi", "fused"):
            report = detect_fused(detector, f"m3fd/{side}", f"found/{side}", truth=Truth(Path("m3fd/labels")))
            print(side, report.scores.mean.ap50)
        ```
    """
    folder, out = Path(fused), Path(output)
    pairing = pair_with_itself(folder, "fused", recursive=recursive, without=(out,))
    task = Finding(detector, as_range(range), truth, drawn)
    settings: dict[str, Any] = {"overwrite": overwrite, "progress": progress, "workers": workers}
    return _run(task, pairing, out, {folder: "fused"}, settings)


def _run(
    task: FindingTask, pairing: Pairing, output: Path, sources: dict[Path, str], settings: dict[str, Any]
) -> DetectionReport:
    names = [pair.name for pair in pairing.pairs]
    if task.truth is not None:
        folder = task.truth.folder
        sources[folder] = "labels"
        if is_same(folder, output / LABELS):
            raise PairError(f"{printable(folder)}: is the labels folder itself", "choose another output=...")
        if not any(label_file(folder, name) for name in names):
            raise PairError(
                f"{printable(folder)}: no labels of these pictures there, such as {printable(names[0])}.txt; YOLO text "
                "or VOC XML, named as the pictures, is expected"
            )
    _check_others(output, names, settings["overwrite"])
    report = run_folder(task, pairing, output, sources, (DRAWN_IN,), **settings)
    return _concluded(task, report, pairing, output)


def _check_others(output: Path, names: Sequence[str], overwrite: bool) -> None:
    """Raise ``ImageError`` where texts that imfuse did not write, such as true labels, would be replaced.

    They cannot say who wrote them; the drawn picture, which is written before them, says it.
    """
    paths = [output / LABELS / f"{name}.txt" for name in names]
    others = [
        path
        for path, name in zip(paths, names, strict=True)
        if path.exists() and BOXES not in read_metadata(output / DRAWN_IN / f"{name}.png")
    ]
    coco = output / COCO_FILE
    if coco.is_file() and coco.stat().st_size:
        with coco.open("rb") as stream:
            others += [] if stream.read(len(COCO_START)) == COCO_START else [coco]
    if others and not overwrite:
        raise ImageError(
            f"{printable(others[0])}: this file exists, and nothing says that imfuse made it ({len(others)} in all)",
            "choose another output=...",
            "use overwrite=True to replace it",
        )


def _concluded(task: FindingTask, report: FolderReport, pairing: Pairing, output: Path) -> DetectionReport:
    """Write ``coco.json`` and add up. Raises ``MetricError`` where nothing can be scored, and no failure says why."""
    names = [pair.name for pair in pairing.pairs if pair.name in task.boxes]
    boxes = {name: task.boxes[name] for name in names}
    write_coco(output / COCO_FILE, {f"{name}.png": one for name, one in boxes.items()}, task.detector.names)
    if task.protocol is None or task.truth is None:
        return DetectionReport(**vars(report), boxes=boxes)
    both = [name for name in names if name in task.known]
    found, known = [boxes[name].boxes for name in both], [task.known[name] for name in both]
    unlabelled = tuple(name for name in names if label_file(task.truth.folder, name) is None)
    try:
        scores = task.protocol.score(found, known, task.detector.names, task.truth.names)
    except MetricError:
        if not report.failed:
            raise
        scores = None
    return DetectionReport(**vars(report), boxes=boxes, unlabelled=unlabelled, lacking=task.lacking, scores=scores)
