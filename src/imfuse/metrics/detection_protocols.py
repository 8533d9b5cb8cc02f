"""Which classes papers score, in which order label files number them, and what detectors call them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from imfuse.core.boxes import Boxes
from imfuse.core.errors import MetricError
from imfuse.metrics.detection import DRAWS, DetectionScores, score_boxes

# fmt: off
COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)
# fmt: on
"""The 80 classes of COCO in the order in which detectors number them."""
_M3FD = ("People", "Car", "Bus", "Lamp", "Motorcycle", "Truck")
_ALIASES = {
    "People": ("person", "pedestrian"),
    "Motorcycle": ("motorbike", "motor"),
    "Lamp": ("street lamp", "street light"),
    "person": ("people", "pedestrian"),
    "motorcycle": ("motorbike",),
    "airplane": ("aeroplane",),
    "couch": ("sofa",),
    "potted plant": ("pottedplant",),
    "dining table": ("diningtable",),
    "tv": ("tvmonitor", "tv monitor"),
}


@dataclass(frozen=True)
class Protocol:
    """What is scored of boxes.

    Args:
        name: by which it is called.
        classes: the scored ones; the mean is over those of them that occur.
        labels: names by the class numbers of label files, where these say nothing else.
        aliases: what classes are called elsewhere. Letter case, hyphens and underscores do not count.

    Example:
        >>> protocol = get_protocol("refinefuse")
        >>> protocol.classes
        ('People', 'Car', 'Bus')
        >>> [protocol.class_of(name) for name in ("person", "truck")]
        ['People', None]
    """

    name: str
    classes: tuple[str, ...]
    labels: tuple[str, ...]
    aliases: Mapping[str, Sequence[str]] = field(default_factory=lambda: _ALIASES)

    def class_of(self, name: str) -> str | None:
        """The class that a name elsewhere stands for.

        Args:
            name: such as "person".

        Returns:
            The name here, such as "People"; ``None`` where it is not scored.
        """
        for own in self.classes:
            if _plain(name) in map(_plain, (own, *self.aliases.get(own, ()))):
                return own
        return None

    def lacking(self, names: Sequence[str]) -> tuple[str, ...]:
        """The classes that a detector cannot find.

        Args:
            names: those of its classes.

        Returns:
            Names here.

        Raises:
            MetricError: it can find none of them.
        """
        known = {self.class_of(name) for name in names}
        lacking = tuple(own for own in self.classes if own not in known)
        if len(lacking) == len(self.classes):
            raise MetricError(
                f"protocol {self.name}: the detector has none of its classes ({_few(self.classes)}); it has "
                f"{_few(names)}",
                "name its classes, names=...",
                "use another protocol=...",
            )
        return lacking

    def score(
        self,
        found: Sequence[Boxes],
        known: Sequence[Boxes],
        names: Sequence[str],
        label_names: Sequence[str] | None = None,
        draws: int = DRAWS,
    ) -> DetectionScores:
        """Average precision of the scored classes.

        Classes that the detector cannot find are left out, as those that do not occur.

        Args:
            found: detections, one entry for each picture.
            known: true boxes of the same pictures.
            names: classes of the detector by number.
            label_names: classes of the labels by number; left out: those of the protocol.
            draws: how often the pictures are drawn for the intervals.

        Returns:
            The scores.

        Raises:
            MetricError: the detector has none of the classes, or no true box is of one.
        """
        ours, true = self.numbered(found, known, names, label_names)
        return score_boxes(ours, true, self.classes, draws)

    def numbered(
        self,
        found: Sequence[Boxes],
        known: Sequence[Boxes],
        names: Sequence[str],
        label_names: Sequence[str] | None = None,
    ) -> tuple[list[Boxes], list[Boxes]]:
        """Boxes of the scored classes, under their numbers here.

        Args:
            found: detections, one entry for each picture.
            known: true boxes of the same pictures.
            names: classes of the detector by number.
            label_names: classes of the labels by number; left out: those of the protocol.

        Returns:
            Detections and true boxes; those of other classes, or of classes that the detector cannot find, are left
            out.

        Raises:
            MetricError: the detector has none of the classes, or no true box is of one.
        """
        lacking = self.lacking(names)
        numbers = {own: i for i, own in enumerate(self.classes) if own not in lacking}
        ours, true = self._numbered(found, names, numbers), self._numbered(known, label_names or self.labels, numbers)
        if not sum(map(len, true)):
            raise MetricError(
                f"protocol {self.name}: the labels of {len(known)} pictures have no box of {', '.join(numbers)}",
                "use another protocol=...",
            )
        return ours, true

    def _numbered(self, pictures: Sequence[Boxes], names: Sequence[str], numbers: Mapping[str, int]) -> list[Boxes]:
        """Boxes with the class numbers of the protocol; those of other classes are left out."""
        table = np.array([numbers.get(self.class_of(name) or "", -1) for name in names], np.int64)
        renamed = [Boxes(boxes.corners, table[boxes.classes], boxes.scores) for boxes in pictures]
        return [boxes.where(boxes.classes >= 0) for boxes in renamed]


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("refinefuse", ("People", "Car", "Bus"), _M3FD),
        Protocol("m3fd6", ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck"), _M3FD),
        Protocol("coco", COCO, COCO),
    )
}
"""``refinefuse``: the article's three classes of M3FD; ``m3fd6``: its six; ``coco``: COCO's 80."""


def get_protocol(name: str) -> Protocol:
    """The protocol of a name.

    Args:
        name: one of ``PROTOCOLS``.

    Returns:
        The protocol.

    Raises:
        MetricError: there is none.

    Example:
        >>> len(get_protocol("coco").classes)
        80
    """
    if name not in PROTOCOLS:
        raise MetricError(f"unknown protocol {name!r}; there are {', '.join(PROTOCOLS)} (protocol=...)")
    return PROTOCOLS[name]


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().lower())


def _few(names: Sequence[str], most: int = 4) -> str:
    rest = len(names) - most
    return ", ".join(map(repr, names[:most])) + (f" and {rest} more" if rest > 0 else "")
