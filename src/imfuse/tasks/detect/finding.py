"""What is made of each picture: its boxes, drawn and as text, and beside them the true ones."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imfuse.core.boxes import Boxes
from imfuse.core.errors import ModelError
from imfuse.core.version import VERSION
from imfuse.fusing.engine import Prepared
from imfuse.fusing.fuser import Fuser
from imfuse.fusing.task import EngineTask, PairJob, Task
from imfuse.imaging import Range, luminance, quantise, read_metadata, to_unit
from imfuse.imaging.inputs import MAX_PIXELS, Array, read
from imfuse.imaging.sensors.display import Limits
from imfuse.metrics.detection_protocols import Protocol, get_protocol
from imfuse.tasks.detect.drawing import draw_boxes
from imfuse.tasks.detect.finder import Finder
from imfuse.tasks.detect.labels import PictureBoxes, label_file, read_boxes, write_yolo

BOXES = "imfuse:boxes"
"""Key of the metadata of a drawn picture that has its boxes: what is known of a result that an earlier run made."""
LABELS, DRAWN_IN = "labels", "boxes"
"""Folders of the two files of each picture."""
_DIGITS, _SCORE_DIGITS = 3, 6


@dataclass(frozen=True)
class Truth:
    """True boxes to compare with.

    Args:
        folder: of label files, YOLO text or VOC XML, named as the pictures, or as the visible ones of the pairs.
        protocol: which classes are scored, one of ``imfuse.metrics.detection_protocols.PROTOCOLS``.
        names: classes of the labels by number; left out: those of the protocol.

    Example:
        >>> Truth(Path("m3fd/labels"), "m3fd6").names is None
        True
    """

    folder: Path
    protocol: str = "refinefuse"
    names: Sequence[str] | None = None


@dataclass(frozen=True)
class Found:
    """A picture, (H, W) or (H, W, 3) uint8, and its boxes."""

    picture: npt.NDArray[np.uint8]
    boxes: Boxes


class FindingTask(Task[Found]):
    """What is made of a picture: its boxes drawn, and as text; and compared with the true ones."""

    detector: Finder
    truth: Truth | None
    drawn: float

    def begin(self, detector: Finder, truth: Truth | None, drawn: float) -> None:
        """Take the settings. Raises ``ModelError``, or ``MetricError`` where the detector has no class to score."""
        if not 0 <= drawn <= 1:
            raise ModelError(f"drawn={drawn!r}: a score from 0 to 1 is expected")
        self.detector, self.truth, self.drawn = detector, truth, drawn
        self.protocol: Protocol | None = None if truth is None else get_protocol(truth.protocol)
        self.lacking = () if self.protocol is None else self.protocol.lacking(detector.names)
        self.boxes: dict[str, PictureBoxes] = {}
        self.known: dict[str, Boxes] = {}

    @property
    def settings(self) -> tuple[str, ...]:
        """What decides a result besides the picture."""
        return self.detector.fingerprint, str(self.drawn), "boxes"

    @abstractmethod
    def fused(self, prepared: Prepared) -> npt.NDArray[np.uint8]:
        """The picture that is looked at."""

    def compute(self, prepared: Prepared) -> Found:
        """Look at the picture, and find."""
        picture = self.fused(prepared)
        return Found(picture, self.detector.find(picture))

    def pictures(self, prepared: Prepared, computed: Found) -> tuple[Array, ...]:
        """The picture with its boxes drawn in."""
        return (draw_boxes(computed.picture, computed.boxes, self.detector.names, self.drawn),)

    def metadata(self, prepared: Prepared, computed: Found) -> dict[str, str]:
        """The boxes as JSON, so that they need not be found again."""
        boxes = computed.boxes
        stored = {
            "size": computed.picture.shape[:2],
            "corners": boxes.corners.round(_DIGITS).tolist(),
            "classes": boxes.classes.tolist(),
            "scores": boxes.scores.round(_SCORE_DIGITS).tolist(),
        }
        return {BOXES: json.dumps(stored)}

    def conclude(self, job: PairJob[Found], pictures: tuple[Array, ...] | None) -> None:
        """Write the text, and read the true boxes of the picture where there are any."""
        name, target = job.pair.name, job.targets[0]
        stored = json.loads(read_metadata(target)[BOXES])
        boxes = Boxes.of(stored["corners"], stored["classes"], stored["scores"])
        size = stored["size"][0], stored["size"][1]
        self.boxes[name] = PictureBoxes(boxes, size)
        # The folder of the text of seq1/01 is labels/seq1 beside boxes/seq1.
        text = target.parents[name.count("/") + 1] / LABELS / f"{name}.txt"
        if pictures is not None or not text.exists():
            write_yolo(text, boxes, size)
        if self.truth is not None and (path := label_file(self.truth.folder, name)):
            assert self.protocol is not None
            self.known[name] = read_boxes(path, size, self.truth.names or self.protocol.labels)


class FusingAndFinding(FindingTask, EngineTask[Found]):
    """Fuses first."""

    def __init__(self, detector: Finder, fuser: Fuser, truth: Truth | None, drawn: float) -> None:
        EngineTask.__init__(self, fuser)
        self.begin(detector, truth, drawn)

    def fingerprint(self, *digests: str) -> str:
        """Of the pair, the fusion, the detector and what is drawn."""
        return EngineTask.fingerprint(self, *digests, *self.settings)

    def fused(self, prepared: Prepared) -> npt.NDArray[np.uint8]:
        """As the folder of ``imfuse fuse`` would hold it."""
        return self.engine.finish(prepared, self.engine.fuse_luminance(prepared)).as_type(8)


class Finding(FindingTask):
    """Takes pictures as they are; both files of its pairs are the one picture."""

    maker, max_pixels = "detect", MAX_PIXELS

    def __init__(self, detector: Finder, range_: Range, truth: Truth | None, drawn: float) -> None:
        self.range = range_
        self.begin(detector, truth, drawn)

    def fingerprint(self, *digests: str) -> str:
        """Of the picture, the detector and what is drawn."""
        parts = [VERSION, str(self.range), *digests, *self.settings]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def read(self, job: PairJob[Found]) -> Prepared:
        """The picture in [0, 1], for both sides."""
        stored = read(job.pair.visible, self.max_pixels, "fused")
        unit, low, high = to_unit(stored.pixels, self.range, name=stored.name)
        gray, colours = (unit, None) if unit.ndim == 2 else (luminance(unit), unit)
        limits = Limits(low, high)
        return Prepared(gray, gray, colours, (limits, limits), (unit.shape[0], unit.shape[1]))

    def fused(self, prepared: Prepared) -> npt.NDArray[np.uint8]:
        """The picture with 8 bits."""
        unit = prepared.visible if prepared.colours is None else prepared.colours
        return np.asarray(quantise(unit, 8), np.uint8)
