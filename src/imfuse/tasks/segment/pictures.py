"""Pictures made elsewhere, such as those that a method has fused, through a trained segmentation network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imfuse.core.errors import PairError
from imfuse.core.files import optional_path
from imfuse.core.text import printable
from imfuse.core.version import VERSION
from imfuse.data.labels import labels_of
from imfuse.data.layouts import find_labels
from imfuse.fusing.engine import Prepared
from imfuse.fusing.folder import Progress, run_folder
from imfuse.fusing.task import PairJob, Task
from imfuse.imaging import find_pairing, luminance
from imfuse.imaging.bands import Bands, parse_bands
from imfuse.imaging.inputs import MAX_PIXELS, Array, PathLike
from imfuse.imaging.pairs import pair_with_itself
from imfuse.imaging.sensors.display import Limits
from imfuse.tasks.segment.file import Classes
from imfuse.tasks.segment.read import WITH_INFRARED, PictureNetwork, read_picture
from imfuse.tasks.segment.segmenter import LABELS, OVERLAY, SegmentationReport, overlay, scored
from imfuse.tasks.segment.truths import Truths


class PictureSegmenter:
    """A trained segmentation network, ready to use on files of pictures.

    Args:
        segmenter: file of the network, as ``imfuse train segmenter`` writes it.
        bands: which bands of a picture are meant, where it has more than gray or RGB: one, three, or four of which the
            last is infrared, as in MFNet's files.
        device: where the network runs; "auto" is a GPU where there is one.
        max_pixels: the largest picture that is read.
        augmented: look at each picture in several sizes and mirrored, as the authors of PSFusion evaluate BANet,
            SegFormer and SegNeXt. They tuned it on test pictures.
        random_bases: have SegNeXt start from other numbers for every picture, as published: no two runs are alike.

    Raises:
        WeightsError: it is no such file.
        ModelError: there is no such device, or the network is not evaluated in such a way.
        ImageError: the bands cannot be.

    Example:
        ```python
        segmenter = PictureSegmenter("segformer.safetensors")
        classes = segmenter("fused/00001D.png")
        ```
    """

    def __init__(
        self,
        segmenter: PathLike,
        *,
        bands: Bands = None,
        device: str = "auto",
        max_pixels: int = MAX_PIXELS,
        augmented: bool = False,
        random_bases: bool = False,
    ) -> None:
        self.network = PictureNetwork(Path(segmenter), device, augmented=augmented, random_bases=random_bases)
        self.bands = parse_bands(bands, four=True)
        self.max_pixels = max_pixels

    def __call__(self, picture: PathLike, infrared: PathLike | None = None) -> Classes:
        """Segment one file.

        Args:
            picture: fused or visible.
            infrared: the infrared picture beside it, for a network of four channels.

        Returns:
            Class number of every pixel, (H, W) uint8.

        Raises:
            ImageError: a file cannot be read, or has not the bands that the network needs.
            PairError: the two differ in size.
            ModelError: the picture is too small for the network, or the memory does not suffice.

        Example:
            ```python
            classes = segmenter("visible/00001D.png", "infrared/00001D.png")
            ```
        """
        return self.network(self.read(Path(picture), optional_path(infrared)))

    def read(self, picture: Path, infrared: Path | None) -> np.ndarray[Any, np.dtype[np.float32]]:
        """What the network looks at, (H, W, channels) in [0, 1]."""
        channels, most = self.network.file.channels, self.max_pixels
        return read_picture(picture, channels, bands=self.bands, infrared=infrared, max_pixels=most)

    def folder(
        self,
        fused: PathLike,
        output: PathLike,
        *,
        infrared: PathLike | None = None,
        labels: PathLike | None = None,
        recursive: bool = False,
        overwrite: bool = False,
        progress: Callable[[Progress], None] | None = None,
        workers: int = 2,
    ) -> SegmentationReport:
        """Segment a folder of pictures into ``output/labels/NAME.png`` and, painted, ``output/overlay/NAME.png``.

        Results that an earlier run with the same files and settings left are skipped unless ``overwrite``. A picture
        that fails is reported and the others continue.

        Args:
            fused: the pictures.
            output: folder of the results.
            infrared: folder of the infrared pictures beside them, paired by name, for a network of four channels.
            labels: folder of true classes, PNG files named as the pictures (gray, 255 where nothing is known), or a
                data set that has such a folder for its test part, as MSRS and MFNet have; where it lists the pictures
                of that part, no others are segmented.
            recursive: look into sub-folders as well; results keep the sub-folder.
            overwrite: redo finished results and replace other files.
            progress: called before the first picture and after each.
            workers: threads that read ahead, and as many that write, while the network runs in this one.

        Returns:
            What became of each picture, and the confusion matrices where ``labels`` are given.

        Raises:
            PairError: there are no pictures or labels, or results would go into one of the folders.
            ImageError: a folder of results cannot be made.

        Example:
            ```python
            from imfuse.tasks.segment import mean_iou

            report = segmenter.folder("fused/", "segmented/", labels="msrs/")
            print(report.failed, mean_iou(report.counts))
            ```
        """
        pictures, target, heat = Path(fused), Path(output), optional_path(infrared)
        if heat is not None and self.network.file.channels != WITH_INFRARED:
            found = f"{printable(heat)}: infrared pictures are given"
            raise PairError(f"{found}, but the network looks at three channels of one picture")
        if heat is None:
            pairing = pair_with_itself(pictures, "fused", recursive=recursive, without=(target,))
        else:
            pairing = find_pairing(heat, pictures, recursive=recursive, without=(target,))
        sources = {pictures: "fused"} | ({} if heat is None else {heat: "infrared"})
        truths: Mapping[str, Path] = {}
        if labels is not None:
            truths = labels_of(Path(labels), recursive=recursive)
            sources |= dict.fromkeys((Path(labels), *(path.parent for path in truths.values())), "labels")
            if find_labels(Path(labels), "test")[1] is not None:
                pairing = replace(pairing, pairs=tuple(pair for pair in pairing.pairs if pair.name in truths))
        task = _Segmenting(self, truths, heat is not None)
        settings: dict[str, Any] = {"overwrite": overwrite, "progress": progress, "workers": workers}
        report = run_folder(task, pairing, target, sources, (LABELS, OVERLAY), **settings)
        return scored(report, None if labels is None else task.truths, [pair.name for pair in pairing.pairs])


class _Segmenting(Task[Classes]):
    """Two pictures of each picture: its class numbers and its overlay."""

    def __init__(self, segmenter: PictureSegmenter, truths: Mapping[str, Path], paired: bool) -> None:
        self.segmenter, self.paired = segmenter, paired
        self.truths = Truths(truths, segmenter.network.file.classes)
        self.maker, self.max_pixels = segmenter.network.file.name, segmenter.max_pixels

    def fingerprint(self, *digests: str) -> str:
        settings = [self.segmenter.network.digest, self.segmenter.bands, self.paired, VERSION, "classes", digests]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()

    def read(self, job: PairJob[Classes]) -> Prepared:
        picture = self.segmenter.read(job.pair.visible, job.pair.infrared if self.paired else None)
        colours = picture[..., :3]
        gray = luminance(colours)
        heat = picture[..., 3] if picture.shape[2] == WITH_INFRARED else gray
        return Prepared(heat, gray, colours, (Limits(0, 1), Limits(0, 1)), (gray.shape[0], gray.shape[1]))

    def compute(self, prepared: Prepared) -> Classes:
        colours = prepared.colours
        assert colours is not None
        if self.segmenter.network.file.channels == WITH_INFRARED:
            colours = np.concatenate([colours, prepared.infrared[..., None]], axis=2)
        return self.segmenter.network(colours)

    def pictures(self, prepared: Prepared, computed: Classes) -> tuple[Array, ...]:
        assert prepared.colours is not None
        return computed, overlay(prepared.colours, computed)

    def conclude(self, job: PairJob[Classes], pictures: tuple[Array, ...] | None) -> None:
        self.truths.compare(job.pair.name, job.targets[0], None if pictures is None else pictures[0])
