"""Classes of every pixel of a pair, by a method that fuses and segments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imfuse.core.errors import ModelError, PairError
from imfuse.core.files import optional_path, stem_of
from imfuse.core.registry import DEFAULT_MODEL, get_spec, list_models
from imfuse.core.text import printable
from imfuse.core.weights import model_of
from imfuse.data.labels import labels_of
from imfuse.fusing.alignment import refuse_cropped_labels
from imfuse.fusing.engine import Prepared
from imfuse.fusing.folder import FolderReport, Progress, run_folder, run_pair
from imfuse.fusing.folder_pairs import folder_pairs, source_folders
from imfuse.fusing.fuser import Fuser
from imfuse.fusing.task import EngineTask, PairJob
from imfuse.imaging import Pair, inputs, parse_range, quantise, to_unit
from imfuse.imaging.inputs import Array, PathLike, Picture
from imfuse.scenes.classes import PALETTE
from imfuse.tasks.segment.read import PictureNetwork, in_colour
from imfuse.tasks.segment.truths import Truths

Classes = npt.NDArray[np.uint8]
DEFAULT = "psfusion_compact"
"""The method that segments where none is named."""
LABELS, OVERLAY = "labels", "overlay"
"""Folders of the two files that are written for each pair."""


@dataclass(frozen=True)
class SegmentationReport(FolderReport):
    """What became of the pairs of two folders: a ``FolderReport``, and what true classes say of the result.

    Args:
        written: pairs whose results were made, by name.
        skipped: pairs whose results an earlier run with the same files and settings had made.
        failed: pairs that could not be done, or not be compared with their labels, each with a line that says why.
        warnings: pairs that were done with a doubt, each with a line that says what and why.
        unmatched_infrared: names of infrared files without a partner.
        unmatched_visible: names of visible files without a partner.
        seconds: wall time.
        unlabelled: pairs that are not in the folder of true classes; empty where none was given.
        counts: confusion matrix over all pairs with true classes, (classes, classes) int64, true classes in rows;
            ``None`` where none were given. ``imfuse.tasks.segment.scores`` computes scores of it.
        each: that of each of these pairs, (pairs, classes, classes), of which intervals are computed.

    Example:
        >>> report = SegmentationReport(written=("01",), counts=torch.tensor([[3, 1], [0, 4]]))
        >>> round(report.counts.diagonal().sum().item() / report.counts.sum().item(), 3)
        0.875
    """

    unlabelled: tuple[str, ...] = ()
    counts: Tensor | None = None
    each: Tensor | None = None


class Segmenter:
    """A method that tells classes apart, ready to use on pictures of any kind, size and bit depth.

    Classes are numbered as in the MSRS data set: ``imfuse.scenes.CLASSES`` has their names, ``PALETTE`` their colours.

    Args:
        model: name of a method that segments, or with ``segmenter`` of any method; left out: the one that a file of
            weights is for, else psfusion_compact, or with ``segmenter`` the default method of :class:`~imfuse.Fuser`.
        weights: name of shipped weights, path of a safetensors file, or ``None`` for random values (tests).
        segmenter: file of a segmentation network that was trained on fused pictures; the method then fuses, and the
            network looks at the result, in 8 bits and with the colours of the visible picture.
        augmented: with ``segmenter``, as for :class:`~imfuse.tasks.segment.PictureSegmenter`.
        random_bases: the same.
        settings: others of :class:`~imfuse.Fuser`, such as ``device`` and ``range``.

    Raises:
        ModelError: the method does not segment, or a setting cannot be used.
        WeightsError: the weights are missing or do not fit.

    Example:
        >>> import imfuse
        >>> scene = imfuse.scenes.render_scene(64, 96)
        >>> segmenter = Segmenter(device="cpu")
        >>> segmenter
        Segmenter('psfusion_compact', weights='psfusion_compact.safetensors', device='cpu', dtype='float32')
        >>> classes = segmenter(scene.infrared, scene.visible)
        >>> classes.shape, imfuse.scenes.CLASSES[classes[-1, 0]]
        ((64, 96), 'background')
    """

    def __init__(
        self,
        model: str | None = None,
        weights: str | Path | None = "default",
        segmenter: PathLike | None = None,
        *,
        augmented: bool = False,
        random_bases: bool = False,
        **settings: Any,
    ) -> None:
        ways = {"augmented": augmented, "random_bases": random_bases}
        if segmenter is None and (taken := [way for way, asked in ways.items() if asked]):
            raise ModelError(f"{taken[0]}=True: of a trained segmentation network", "give one as segmenter=...")
        device = settings.get("device", "auto")
        self.network = None if segmenter is None else PictureNetwork(Path(segmenter), device, **ways)
        default = DEFAULT if self.network is None else DEFAULT_MODEL
        name = model or (default if weights in ("default", None) else model_of(weights))
        self.classes = get_spec(name).classes if self.network is None else self.network.file.classes
        if not self.classes:
            able = [other for other in list_models() if get_spec(other).classes]
            raise ModelError(
                f"{name}: fuses, but does not segment; these do: {', '.join(able)} (model=...)",
                "give a trained segmentation network as segmenter=...",
            )
        if self.network is not None and self.network.file.channels != 3:
            raise ModelError(
                f"{printable(segmenter)}: of pictures of {self.network.file.channels} channels, which nothing is fused "
                "for; give the pictures themselves (fused=..., infrared=...)"
            )
        self.fuser = Fuser(name, weights, **settings)
        if self.fuser.fit == "resize":
            raise ModelError("fit='resize' is of fused pictures; classes are found at full size")

    def __repr__(self) -> str:
        return f"{type(self).__name__}{repr(self.fuser).removeprefix(type(self.fuser).__name__)}"

    def __call__(self, infrared: Picture, visible: Picture) -> Classes:
        """Segment a registered pair; each picture is a path, a NumPy array, a PIL image or a tensor.

        Args:
            infrared: one picture of those that :class:`~imfuse.Fuser` takes.
            visible: the other.

        Returns:
            Class number of every pixel, (H, W) uint8.

        Raises:
            ImageError: a picture cannot be read or used.
            PairError: the two differ in size and ``resize`` is off, or a batch of several is given.
            ModelError: the memory does not suffice.

        Example:
            ```python
            classes = segmenter("ir.png", "vis.png")
            ```
        """
        with self.fuser.doubts():
            first = inputs.load(infrared, "infrared", self.fuser.max_pixels, self.fuser.infrared_bands, self.fuser.view)
            second = inputs.load(
                visible, "visible", self.fuser.max_pixels, self.fuser.visible_bands, self.fuser.view.of_visible
            )
            if len(first.pictures) != 1 or len(second.pictures) != 1:
                raise PairError("one pair is segmented at a time; a batch of several was given")
            pair = self.fuser.prepare(first.pictures[0], second.pictures[0])
        return self.segment(pair)

    def segment(self, pair: Prepared) -> Classes:
        """Class numbers of a prepared pair, (H, W) uint8."""
        if self.network is not None:
            fused = self.fuser.finish(pair, self.fuser.fuse_luminance(pair)).as_type(8)
            return self.network(in_colour(to_unit(fused, parse_range("full"))[0]))
        logits = self.fuser.run(pair, cast(Any, self.fuser.network).segment)
        return cast(Classes, logits[0].argmax(0).to(torch.uint8).numpy(force=True))

    def files(self, infrared: PathLike, visible: PathLike | None, output: PathLike, *, overwrite: bool = False) -> bool:
        """Segment two files into ``output/labels/NAME.png`` and, painted, ``output/overlay/NAME.png``.

        Args:
            infrared: the infrared file.
            visible: the visible one, whose stem is NAME; ``None`` for the visible picture in the infrared file.
            output: folder of the results; made where it is missing.
            overwrite: redo finished results and replace other files.

        Returns:
            False where both are already the results of these files and settings, so that nothing was done.

        Raises:
            ImageError: a file cannot be read or written, or a file in the way was not made by imfuse and ``overwrite``
                is off.
            PairError: the two differ in size and ``resize`` is off.
            ModelError: the memory does not suffice.

        Example:
            ```python
            segmenter.files("ir.png", "vis.png", "segmented/")
            ```
        """
        second = Path(infrared if visible is None else visible)
        pair = Pair(stem_of(second), Path(infrared), second)
        targets = tuple(Path(output) / part / f"{pair.name}.png" for part in (LABELS, OVERLAY))
        return run_pair(_Segmenting(self), pair, targets, overwrite=overwrite)

    def folder(
        self,
        infrared: PathLike | None,
        visible: PathLike | None,
        output: PathLike,
        *,
        recursive: bool = False,
        pairs: PathLike | None = None,
        labels: PathLike | None = None,
        overwrite: bool = False,
        progress: Callable[[Progress], None] | None = None,
        workers: int = 2,
    ) -> SegmentationReport:
        """Segment two folders, paired by name or by a list, as ``files`` does.

        Results that an earlier run with the same files and settings left are skipped unless ``overwrite``. A pair that
        fails is reported and the others continue.

        Args:
            infrared: folder of infrared pictures; with ``pairs`` it may be ``None``.
            visible: folder of visible pictures; the same.
            output: folder of the results.
            recursive: look into sub-folders as well, those of ``labels`` too; results keep the sub-folder.
            pairs: a list of pairs, CSV or JSON Lines, as :func:`imfuse.imaging.read_pairs` takes it.
            labels: folder of true classes, PNG files named as the pairs (gray, 255 where nothing is known), or a data
                set that has such a folder for its test part, as MSRS and MFNet have.
            overwrite: redo finished results and replace other files.
            progress: called before the first pair and after each.
            workers: threads that read ahead, and as many that write, while the network runs in this one.

        Returns:
            What became of each pair, and the confusion matrix where ``labels`` are given.

        Raises:
            PairError: the folders do not belong together, lines of the list are wrong, results would go into one of the
                folders, or there are no labels.
            ImageError: a folder of results cannot be made.

        Warns:
            ImfuseWarning: pairs were found by a rule that may be wrong.

        Example:
            ```python
            from imfuse.tasks.segment import mean_iou

            report = segmenter.folder("infrared/", "visible/", "segmented/", labels="truth/")
            print(report.failed, mean_iou(report.counts))
            ```
        """
        ir, vi = optional_path(infrared), optional_path(visible)
        pairing = folder_pairs(
            self.fuser, ir, vi, recursive=recursive, pairs=optional_path(pairs), without=(Path(output),)
        )
        sources = source_folders(pairing, ir, vi)
        truths: dict[str, Path] = {}
        if labels is not None:
            refuse_cropped_labels(self.fuser.rig, self.fuser.outside)
            truths = labels_of(Path(labels), recursive=recursive)
            sources |= dict.fromkeys((Path(labels), *(path.parent for path in truths.values())), "labels")
        task = _Segmenting(self, truths)
        settings: dict[str, Any] = {"overwrite": overwrite, "progress": progress, "workers": workers}
        report = run_folder(task, pairing, Path(output), sources, (LABELS, OVERLAY), **settings)
        return scored(report, None if labels is None else task.truths, [pair.name for pair in pairing.pairs])


class _Segmenting(EngineTask[Classes]):
    """Two pictures of each pair, its class numbers and its overlay; and a confusion matrix of those with true classes.

    ``truths`` are the files of true classes by the names of the pairs.
    """

    def __init__(self, segmenter: Segmenter, truths: Mapping[str, Path] | None = None) -> None:
        super().__init__(segmenter.fuser)
        self.segmenter, self.truths = segmenter, Truths(truths or {}, segmenter.classes)

    def fingerprint(self, *digests: str) -> str:
        network = self.segmenter.network
        return super().fingerprint(*digests, "classes", *([] if network is None else [network.digest]))

    def compute(self, prepared: Prepared) -> Classes:
        return self.segmenter.segment(prepared)

    def pictures(self, prepared: Prepared, computed: Classes) -> tuple[Array, ...]:
        visible = prepared.visible if prepared.colours is None else prepared.colours
        return computed, overlay(visible, computed)

    def conclude(self, job: PairJob[Classes], pictures: tuple[Array, ...] | None) -> None:
        self.truths.compare(job.pair.name, job.targets[0], None if pictures is None else pictures[0])


def scored(report: FolderReport, truths: Truths | None, names: list[str]) -> SegmentationReport:
    """A report with what true classes say; without where there are none."""
    if truths is None:
        return SegmentationReport(**vars(report))
    each = truths.matrices(names)
    unlabelled = tuple(name for name in names if name not in truths.files)
    return SegmentationReport(**vars(report), unlabelled=unlabelled, counts=each.sum(0), each=each)


def overlay(visible: npt.NDArray[Any], classes: Classes, strength: float = 0.6) -> npt.NDArray[np.uint8]:
    """Paint classes over a picture, in the colours of ``imfuse.scenes.PALETTE``.

    Args:
        visible: (H, W) or (H, W, 3), floating in [0, 1].
        classes: class numbers, (H, W); where it is 0 the picture stays as it is.
        strength: share of the paint elsewhere, from 0 to 1.

    Returns:
        (H, W, 3) uint8.

    Example:
        >>> overlay(np.full((1, 2), 0.5, np.float32), np.array([[0, 1]], np.uint8)).tolist()
        [[[128, 128, 128], [89, 51, 128]]]
    """
    colours = np.repeat(visible[..., None], 3, axis=2) if visible.ndim == 2 else visible
    # Beyond the nine classes of MSRS the colours of its things begin again.
    numbers = np.where(classes == 0, 0, 1 + (classes.astype(np.int16) - 1) % (len(PALETTE) - 1))
    painted = colours * (1 - strength) + PALETTE[numbers] / np.float32(255) * strength
    mixed = np.where((classes > 0)[..., None], painted, colours).astype(np.float32)
    return cast("npt.NDArray[np.uint8]", quantise(mixed, 8))
