"""Training recipes: YAML files validated to the last key, every default visible."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from imfuse.core.errors import RecipeError
from imfuse.core.registry import get_spec

Fraction = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
MAX_BYTES = 1 << 20
SEGMENTATION_SCORES = ("mIoU", "accuracy")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Crop(_Section):
    """What part of an image a step sees."""

    kind: Literal["random", "center", "random_resized", "whole"] = Field(
        "random",
        description="random_resized: a random part of 8 to 100 % of the area, resized, as for classifiers; whole: the"
        " whole image, resized whatever its ratio",
    )
    size: Annotated[int, Field(ge=16)] = Field(128, description="side in pixels")
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
    """A whole training. ``imfuse train NAME --show`` prints one with all defaults."""

    model: str
    options: dict[str, bool | int | str] = Field(default_factory=dict, description="of the model, such as rule: sum")
    loss: dict[str, float] = Field(default_factory=dict, description="weights of the objective's terms")
    objective: str = Field("Objective", description="class of the objective, for methods that are trained in stages")
    frozen: tuple[str, ...] = Field(
        (), description="parts that are not trained: parameters whose name begins with one of these"
    )
    initial: str = Field(
        "", description="file of weights that training starts from (the method's page says which), or: download"
    )
    data: Data = Data()
    epochs: Count = 100
    batch_size: Count = 16
    accumulate: Count = Field(1, description="batches per optimiser step")
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    clip: Annotated[float, Field(ge=0)] = Field(0.0, description="largest gradient norm; 0 clips nothing")
    average: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="decay per step of a moving average of the weights, which validates and is exported; 0: none"
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    compile: bool = Field(False, description="compile the network (torch.compile): a slow start, then faster steps")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    checkpoint_minutes: Positive = Field(5.0, description="a checkpoint this often, and at the end")
    validate_every: Count = Field(1, description="epochs between validations")
    scores: tuple[str, ...] = Field(("EN", "SD", "SF", "AG", "SCD"), description="metrics of a validation")
    convention: str = Field("plain", description="of these metrics")
    best: str = Field(
        "", description="score, mIoU or accuracy: the state of the best validation is exported; empty: the last state"
    )

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
    def _known(self) -> Recipe:
        get_spec(self.model)
        if self.data.kind == "images" and (self.data.augment != Augment() or self.data.rendered):
            raise ValueError("data.augment and data.rendered are of pairs, but data.kind is images")
        if self.best and self.best not in (*self.scores, *SEGMENTATION_SCORES):
            raise ValueError(f"best: {self.best!r} is none of {', '.join((*self.scores, *SEGMENTATION_SCORES))}")
        if self.best and (not self.data.validation or self.validate_every > self.epochs):
            raise ValueError(f"best: {self.best} needs a validation; set data.validation and validate_every")
        return self

    def to_yaml(self) -> str:
        """The recipe with every default written out; reading it gives the same recipe."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def list_recipes() -> list[str]:
    """Names of the recipes that ship.

    >>> list_recipes()[0]
    'auif'
    """
    folder = resources.files("imfuse.training") / "recipes"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_stages(name: str | Path, changes: list[str] | None = None) -> dict[str, Recipe]:
    """Read the recipes of a training that has several, by name; of any other training its only recipe.

    A file of stages holds ``stages: [NAME, ...]`` alone; each stage starts with what the one before it exported. A
    change whose key begins with the name of a stage is of that stage, others are of all. Raises ``RecipeError``.

    >>> list(load_stages("transfusion"))
    ['transfusion_stage1', 'transfusion_stage2']
    """
    origin, content = _read(name)
    if "stages" not in content:
        return {Path(name).stem: load_recipe(name, changes)}
    stages = content["stages"]
    if not isinstance(stages, list) or len(content) > 1 or not set(map(str, stages)) <= set(list_recipes()):
        raise RecipeError(f"{origin}: stages: a list of names of recipes is expected, and no other key")
    return {stage: load_recipe(stage, _changes_of(stage, stages, changes or [])) for stage in stages}


def _changes_of(stage: str, stages: list[str], changes: list[str]) -> list[str]:
    own = [change.removeprefix(f"{stage}.") for change in changes]
    return [change for change in own if not change.startswith(tuple(f"{other}." for other in stages))]


def load_recipe(name: str | Path, changes: list[str] | None = None) -> Recipe:
    """Read a recipe by name or from a YAML file and apply ``key.key=value`` changes. Raises ``RecipeError``.

    >>> load_recipe("auif", ["epochs=3"]).epochs
    3
    """
    origin, content = _read(name)
    for change in changes or []:
        _apply(content, change)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_explain(problem) for problem in error.errors())
        raise RecipeError(f"{origin}: {problems}") from None
    except RecursionError:
        raise RecipeError(f"{origin}: nested too deeply") from None


def _read(name: str | Path) -> tuple[str, dict[str, Any]]:
    origin, text = _find(name)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{origin}: not YAML ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise RecipeError(f"{origin}: nested too deeply") from None
    if not isinstance(content, dict):
        raise RecipeError(f"{origin}: expected keys and values as in `imfuse train auif --show`, found {content!r:.60}")
    return origin, content


def _find(name: str | Path) -> tuple[str, str]:
    if name in list_recipes():
        entry = resources.files("imfuse.training") / "recipes" / f"{name}.yaml"
        return f"recipe {name}", entry.read_text(encoding="utf-8")
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        raise RecipeError(f"no recipe {str(name)!r}: there are {', '.join(list_recipes())}; or give a .yaml file")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError(f"{path}: {path.stat().st_size} bytes is too large for a recipe (1 MiB at most)")
        return str(path), path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot read the recipe ({getattr(error, 'strerror', None) or error})") from None


def _apply(content: dict[str, Any], change: str) -> None:
    key, separator, text = change.partition("=")
    if not separator or not key:
        raise RecipeError(f"--set {change!r}: expected KEY=VALUE, such as --set optimizer.lr=0.001")
    *path, last = key.strip().split(".")
    section = content
    for name in path:
        section = section.setdefault(name, {})
        if not isinstance(section, dict):
            raise RecipeError(f"--set {change!r}: {name!r} is a value, not a section")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"--set {change!r}: {text!r} is not a YAML value") from None
    section[last] = value


def _explain(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {place!r}"
    message = problem["msg"].removeprefix("Value error, ")
    found = "" if problem["type"] in ("missing", "value_error") else f" (found {problem['input']!r:.60})"
    return f"{place}: {message}{found}" if place else message
