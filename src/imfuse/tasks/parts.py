"""The three parts of a task's data: what is trained on, what weights may be chosen by, and what is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imfuse.core.errors import RecipeError
from imfuse.imaging.bands import Bands
from imfuse.tasks.examples import Example, split_by_seed
from imfuse.tasks.folders import ExampleFiles, FolderExamples, ReadBoxes
from imfuse.tasks.rendered import FIRST_SEED, HELD_OUT, VALIDATION, as_examples, picture_maker, render_scenes

Select = Literal["last", "validation", "test"]
"""Which weights are kept: the last, those of the best validation, or, as some authors did, those that do best on the
test part, which makes its scores too good."""


@dataclass(frozen=True)
class Parts:
    """Examples to train on, to choose by and to test on; no example is in two.

    Args:
        train: what the network sees.
        validation: what ``select="validation"`` looks at; may be empty else.
        test: held out; its scores are those that count.
        origin: what it is, in words, for the header of weights.

    Example:
        >>> parts = rendered_parts("visible", 4, height=48, width=64)
        >>> len(parts.train), len(parts.validation), len(parts.test)
        (4, 1, 1)
    """

    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]
    origin: str = ""

    def selected(self, select: Select) -> Sequence[Example]:
        """The examples that decide which weights are kept; none where the last ones are."""
        chosen = {"last": (), "validation": self.validation, "test": self.test}
        if select not in chosen:
            raise RecipeError(f"select={select!r}: one of {', '.join(chosen)} is expected")
        if select != "last" and not chosen[select]:
            raise RecipeError(f"select={select!r}: there are no pictures to choose by", f"give a share, {select}=0.1")
        return chosen[select]

    def check(self) -> None:
        """Decode everything once: what is wrong with a file is said before the training, not after it.

        Raises:
            RecipeError: pictures differ in their channels, or there is nothing to train on.
            ImageError: a file cannot be read.
            PairError: files of an example do not belong together.
        """
        channels: dict[int, str] = {}
        for part in (self.train, self.validation, self.test):
            for example in part:
                channels.setdefault(example.channels, example.name)
        if len(channels) != 1:
            found = ", ".join(f"{name} has {number}" for number, name in channels.items())
            raise RecipeError(f"pictures of one number of channels are expected ({found or 'there are none'})")


def folder_parts(
    files: Sequence[ExampleFiles],
    classes: int,
    *,
    seed: int = 0,
    validation: float = 0.1,
    test: float = 0.1,
    read_boxes: ReadBoxes | None = None,
    bands: Bands = None,
    origin: str = "",
) -> Parts:
    """Parts of a folder, drawn by a seed: 8 to 1 to 1 as articles split M3FD, unless shares say otherwise.

    Args:
        files: of :func:`imfuse.tasks.folders.find_examples`.
        classes: how many there are.
        seed: of the split.
        validation: share, 0 for none.
        test: share, 0 for none.
        read_boxes: of detection.
        bands: which bands of the pictures are meant; of four the last is infrared.
        origin: what the data is, in words.

    Returns:
        The parts; their pictures are decoded when they are asked for.

    Raises:
        RecipeError: a share cannot be, or nothing is left to train on.

    Example:
        ```python
        parts = folder_parts(find_examples(Path("fused"), Path("labels")), classes=9)
        ```
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise RecipeError(f"{name}={share}: a share from 0 to less than 1 is expected")
    split = split_by_seed(list(files), seed, test, validation)
    if len(split[0]) < 1:
        raise RecipeError(
            f"{len(files)} pictures cannot be split by validation={validation:g} and test={test:g}",
            "give more pictures",
        )
    train, tested, chosen = (FolderExamples(part, classes, read_boxes, bands) for part in split)
    return Parts(train, chosen, tested, origin)


def rendered_parts(
    method: str,
    count: int,
    *,
    height: int = 240,
    width: int = 320,
    weights: str | Path | None = "default",
    device: str = "auto",
) -> Parts:
    """Rendered scenes, seen through a fusion method or a control.

    Args:
        method: of :func:`imfuse.tasks.rendered.picture_maker`.
        count: scenes to train on; a fifth as many are held out for the test, and a tenth to choose by.
        height: rows of the scenes.
        width: columns.
        weights: of the method.
        device: that it runs on.

    Returns:
        The parts, in memory; the same scenes whatever the method.

    Raises:
        RecipeError: there are no scenes.
        ModelError: there is no such method.

    Example:
        >>> rendered_parts("infrared", 2, height=48, width=64).test[0].name
        'scene 1000000'
    """
    if count < 1:
        raise RecipeError(f"rendered={count}: at least 1 scene is expected")
    make = picture_maker(method, weights, device)
    train, validation, test = (
        as_examples(render_scenes(first, number, height, width), make, first)
        for first, number in ((FIRST_SEED, count), (VALIDATION, -(-count // 10)), (HELD_OUT, -(-count // 5)))
    )
    return Parts(train, validation, test, f"{method} on {count} rendered scenes of {width}x{height}")
