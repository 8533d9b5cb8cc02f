"""Training recipes: YAML files validated to the last key, every default visible."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from imfuse.core.errors import RecipeError
from imfuse.core.registry import get_spec
from imfuse.core.spec import ModelSpec
from imfuse.core.text import shortened
from imfuse.core.yaml_input import parse_yaml
from imfuse.training.sources import SUFFIXES, Source, absolute, list_recipes, read_source

Fraction = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Reference = Annotated[str, AfterValidator(lambda text: absolute(text, Path()))]
"""A name, or ``file.py:Name``: with the whole path, so that a run can continue from any folder."""
SEGMENTATION_SCORES = ("mIoU", "accuracy")
SMALLEST_CROP = 16

__all__ = ["Recipe", "list_recipes", "load_recipe", "load_stages"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Crop(_Section):
    """What part of an image a step takes."""

    kind: Literal["random", "center", "random_resized", "whole"] = Field(
        "random",
        description="random_resized: a random part of 8 to 100 % of the area, resized, as for classifiers; whole: the"
        " whole image, resized whatever its ratio",
    )
    size: Annotated[int, Field(ge=SMALLEST_CROP)] = Field(128, description="side in pixels")
    flips: bool = Field(False, description="mirror left-right and top-bottom at random")
    rotations: bool = Field(False, description="turn by multiples of 90 degrees at random")
    zoom: Annotated[float, Field(ge=1, le=8)] = Field(
        1.0, description="of random: every other part is up to this many times smaller, and enlarged"
    )


class Augment(_Section):
    """Probabilities of changes to a crop of a pair."""

    tone: Probability = Field(0.0, description="gamma, contrast and offset, of each image by itself")
    invert: Probability = Field(0.0, description="the infrared image")
    glare: Probability = Field(0.0, description="a head-light in the visible image")
    swap: Probability = Field(0.0, description="the two images change places")
    same: Probability = Field(0.0, description="one of the two images takes the place of both")
    flat: Probability = Field(0.0, description="both images become even, at levels of their own")


class Data(_Section):
    """What is trained on."""

    kind: Literal["pairs", "images"] = Field(
        "pairs", description="images: infrared and visible images one by one, without their partners"
    )
    crop: Crop = Crop()
    augment: Augment = Augment()
    rendered: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="so many rendered scenes (480x640, with labels) are added to the pairs"
    )
    varied: bool = Field(
        False, description="each rendered scene has its own light, temperatures, sky, range, blur and noise"
    )
    shares: dict[str, Positive] = Field(
        default_factory=dict, description="of several data sets, by the name of each: share of the crops that are its"
    )
    shuffle: bool = Field(True, description="a new order in each epoch; false: by name, the same in each epoch")
    validation: Fraction = Field(
        0.1, description="share of pairs and scenes held out: the last by name, neighbours together"
    )
    cache_mb: Annotated[int, Field(ge=0)] = Field(2048, description="memory for decoded images, in MiB")
    workers: Annotated[int, Field(ge=0)] = Field(0, description="loader processes; the cache exists in each of them")


class Optimizer(_Section):
    """How parameters move."""

    name: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    lr: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="of sgd and rmsprop")
    decay: Annotated[float, Field(gt=0, lt=1)] = Field(0.99, description="of the mean squares of rmsprop")
    groups: dict[str, Positive] = Field(
        default_factory=dict, description="learning rate of the parameters whose name begins with the key"
    )


class Schedule(_Section):
    """How the learning rates change."""

    name: Literal["constant", "steps", "cosine", "poly"] = Field(
        "constant", description="cosine, poly: falls to 0, step by step; poly by a power of 0.9"
    )
    warmup: Annotated[int, Field(ge=0)] = Field(
        0, description="of cosine and poly: steps in which the rates first rise"
    )
    milestones: tuple[Count, ...] = Field((), description="of steps: epochs after which the rates are multiplied")
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1


class Recipe(_Section):
    """A whole training. ``load_recipe(NAME).to_yaml()`` shows one with all its values.

    Attributes:
        model: a method by name, or ``file.py:Name`` or ``package.module:Name`` of one that is not in the library.
        options: of the model, such as ``rule: sum``.
        loss: weights of the objective's terms.
        objective: class of the objective, for methods that are trained in stages, or ``file.py:Name`` or
            ``package.module:Name`` of another one.
        frozen: parts that are not trained: parameters whose name begins with one of these.
        fixed_norms: batch norms use the statistics that they have, of the weights that training starts with: those of
            small batches would take from each picture how bright it is beside others.
        initial: file of weights that training starts from (the method's page says which), or ``download``.
        data: what is trained on: crops, changes, rendered scenes, what is held out.
        epochs: passes over the training pairs.
        batch_size: crops in a batch of each process.
        accumulate: batches per step of the optimiser.
        optimizer: how the parameters move.
        schedule: how the learning rates change.
        clip: largest norm of the gradient; 0 clips nothing.
        average: decay per step of a moving average of the weights, which is validated and exported; 0: none.
        precision: number format of the network; sums that would suffer stay in float32.
        compile: compile the network (``torch.compile``): a slow start, then faster steps.
        noise: that the network sees and the loss does not, so that it learns not to amplify it: the largest standard
            deviation, in levels of 255, of what each crop gets.
        seed: of the initial weights, the crops and their order.
        checkpoint_minutes: a checkpoint is written this often, and at the end.
        validate_every: epochs between validations.
        scores: metrics of a validation.
        convention: of these metrics.
        best: score, ``mIoU`` or ``accuracy``: the state of the best validation is exported; empty: the last state.

    Example:
        >>> Recipe(model="auif", epochs=3).optimizer.lr
        0.001
    """

    model: Reference
    options: dict[str, bool | int | str] = Field(default_factory=dict)
    loss: dict[str, float] = Field(default_factory=dict)
    objective: Reference = "Objective"
    frozen: tuple[str, ...] = ()
    fixed_norms: bool = False
    initial: str = ""
    data: Data = Data()
    epochs: Count = 100
    batch_size: Count = 16
    accumulate: Count = 1
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    clip: Annotated[float, Field(ge=0)] = 0.0
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    compile: bool = False
    noise: Annotated[float, Field(ge=0, le=64)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    checkpoint_minutes: Positive = 5.0
    validate_every: Count = 1
    scores: tuple[str, ...] = ("EN", "SD", "SF", "AG", "SCD")
    convention: str = "plain"
    best: str = ""

    @model_validator(mode="before")
    @classmethod
    def _typed_options(cls, content: Any) -> Any:
        """Options as the network takes them, whatever YAML or a command line made of them."""
        options = content.get("options") if isinstance(content, dict) else None
        if not isinstance(options, dict) or not isinstance(content.get("model"), str):
            return content
        typed = get_spec(content["model"]).check_options(options)
        return {**content, "options": {name: typed[name] for name in options}}

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        _check_crop(get_spec(self.model), self.data.crop.size)
        single = Augment(tone=self.data.augment.tone, flat=self.data.augment.flat)
        if self.data.kind == "images" and (self.data.augment != single or self.data.rendered):
            raise ValueError(
                "data.augment (but for tone and flat) and data.rendered are of pairs, but data.kind is images"
            )
        if self.best and self.best not in (*self.scores, *SEGMENTATION_SCORES):
            raise ValueError(f"best: {self.best!r} is none of {', '.join((*self.scores, *SEGMENTATION_SCORES))}")
        if self.best and (not self.data.validation or self.validate_every > self.epochs):
            raise ValueError(
                f"best: {self.best} needs a validation; set data.validation and validate_every, or best=''"
            )
        return self

    def to_yaml(self) -> str:
        """Write every default out.

        Returns:
            YAML, of which :func:`load_recipe` makes the same recipe.
        """
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_stages(name: str | Path, changes: Sequence[str] = ()) -> dict[str, Recipe]:
    """Read the recipes of a training that has several stages; of any other training its only recipe.

    A file of stages holds ``stages: [...]`` alone, a list of names of recipes, or of files beside it; each stage starts
    with what the one before it exported.

    Args:
        name: of a recipe that ships or that a package brings, or a YAML file.
        changes: as :func:`load_recipe` takes them. One whose key begins with the name of a stage is of that stage,
            others are of all.

    Returns:
        The recipes by the names of their stages, in their order.

    Raises:
        RecipeError: a file cannot be read, or a key or a value is none.

    Example:
        >>> list(load_stages("transfusion"))
        ['transfusion_stage1', 'transfusion_stage2']
    """
    source = read_source(name)
    if "stages" not in source.content:
        return {Path(name).stem: load_recipe(name, changes)}
    places = _places(source)
    return {stage: load_recipe(place, _changes_of(stage, places, changes)) for stage, place in places.items()}


def _places(source: Source) -> dict[str, str | Path]:
    """Where the recipe of each stage is: by name, or beside the file that lists them."""
    entries, recipes = source.content["stages"], list_recipes()
    places: dict[str, str | Path] = {}
    for entry in entries if isinstance(entries, list) else ():
        if entry in recipes:
            places[entry] = entry
        elif isinstance(entry, str) and Path(entry).suffix in SUFFIXES:
            places[Path(entry).stem] = source.folder / entry
    if len(source.content) > 1 or not places or len(places) != len(entries):
        raise RecipeError(
            f"{source.origin}: stages: a list of names of recipes is expected, or of .yaml files beside it, each of"
            " another name, and no other key"
        )
    return places


def _changes_of(stage: str, stages: Iterable[str], changes: Sequence[str]) -> list[str]:
    own = [change.removeprefix(f"{stage}.") for change in changes]
    return [change for change in own if not change.startswith(tuple(f"{other}." for other in stages))]


def load_recipe(name: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read the recipe of a training.

    Args:
        name: of a recipe that ships or that a package brings (:func:`list_recipes`), or a YAML file. In a file,
            ``model`` and ``objective`` may be ``file.py:Name``, by a path that is relative to it; that code is run.
        changes: ``key.key=value`` each, such as ``optimizer.lr=0.001``.

    Returns:
        The recipe, every default filled in.

    Raises:
        RecipeError: the file cannot be read, or a key or a value is none.
        ModelError: there is no such method, or it has no such option.

    Example:
        >>> load_recipe("auif", ["epochs=3"]).epochs
        3
    """
    source = read_source(name)
    for change in changes:
        _apply(source.content, change)
    try:
        return Recipe.model_validate(source.content)
    except ValidationError as error:
        problems = "; ".join(_explain(problem) for problem in error.errors())
        raise RecipeError(f"{source.origin}: {problems}") from None
    except RecursionError:
        raise RecipeError(f"{source.origin}: nested too deeply") from None


def _check_crop(spec: ModelSpec, side: int) -> None:
    """Raise ``ValueError`` with the next good sizes where a network does not take squares of ``side`` pixels."""
    rule = spec.size
    if rule.accepts(side, side):
        return
    below = side // rule.multiple * rule.multiple
    sides = [str(below)] if below >= SMALLEST_CROP and rule.accepts(below, below) else []
    raise ValueError(
        f"data.crop.size: {side} does not suit {spec.name}, whose sides are multiples of {rule.multiple}, at least"
        f" {rule.padded(1)}; take {' or '.join([*sides, str(rule.padded(side))])}"
    )


def _apply(content: dict[str, Any], change: str) -> None:
    key, separator, text = change.partition("=")
    if not separator or not key:
        raise RecipeError(f"change {change!r}: expected KEY=VALUE, such as optimizer.lr=0.001")
    *path, last = key.strip().split(".")
    section = content
    for name in path:
        section = section.setdefault(name, {})
        if not isinstance(section, dict):
            raise RecipeError(f"change {change!r}: {name!r} is a value, not a section")
    section[last] = parse_yaml(text, RecipeError, f"change {shortened(change)!r} is not a YAML value")


def _explain(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {place!r}"
    message = problem["msg"].removeprefix("Value error, ")
    value = "" if problem["type"] in ("missing", "value_error") else f" (found {reprlib.repr(problem['input']):.60})"
    return f"{place}: {message}{value}" if place else message
