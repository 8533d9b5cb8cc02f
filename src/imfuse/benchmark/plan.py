"""What a benchmark runs: models, data sets, external results, metrics; from a command line or a YAML file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from imfuse.benchmark.bounds import File, Name, at_most
from imfuse.core.errors import BenchmarkError, WeightsError
from imfuse.core.plugins import is_reference
from imfuse.core.problems import first_problem
from imfuse.core.registry import get_spec, list_models
from imfuse.core.text import printable
from imfuse.core.weights import CONVERTED, read_header
from imfuse.core.yaml_input import read_yaml

# Names become folders.
_NAME = re.compile(r"[^\W_][\w.+\-() ]*")
_MODEL = re.compile(r"(?:(?P<name>[^=:]+)=)?(?P<model>(?:[^=]+\.py|[\w]+(?:\.\w+)+):\w+|[^=:]+)(?::(?P<weights>.+))?")
"""A model is a name, or a network of others: ``file.py:Name``, ``package.module:Name``."""
_MOST = 1000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


_Kind = TypeVar("_Kind", bound=_Strict)


class ModelEntry(_Strict):
    """A model with its weights (a shipped name or a file), under the name it has in the tables.

    Args:
        model: name of a method, or where a network of others lies: ``file.py:Name``, ``package.module:Name``.
        weights: name of shipped weights, or a file.
        name: in the tables; by default that of the method, with " (authors)" where a file of weights says that it was
            converted from their checkpoint.
        options: of the method.
    """

    model: File
    weights: File = "default"
    name: Name = ""
    options: dict[Name, bool | int | Name] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        """``[NAME=]MODEL[:WEIGHTS]``."""
        if not isinstance(value, str):
            return value
        match = _MODEL.fullmatch(value.strip())
        if match is None:
            raise ValueError(
                f"[NAME=]MODEL[:WEIGHTS] is expected, such as auif or authors=auif:theirs.safetensors, found {value!r}"
            )
        return {key: word for key, word in match.groupdict().items() if word}

    @property
    def label(self) -> str:
        """Its name in the tables."""
        return self.name or (get_spec(self.model).name if is_reference(self.model) else self.model)


class Folders(_Strict):
    """Two folders of pictures that belong together by name, or by a list; or a list alone."""

    infrared: Path | None = None
    visible: Path | None = None
    pairs: Path | None = None
    recursive: bool = False

    @property
    def complete(self) -> bool:
        """Whether both folders are named, or a list and neither."""
        alone = self.pairs is not None and self.infrared is None and self.visible is None
        return alone or (self.infrared is not None and self.visible is not None)


class _Models(_Strict):
    models: Annotated[tuple[ModelEntry, ...], at_most(_MOST)] = Field(default="all", validate_default=True)

    @field_validator("models", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if value in ("all", ["all"]):
            return [name for name in list_models() if get_spec(name).training_free or get_spec(name).weights]
        if value in ("none", ["none"]):
            return []
        return [word for word in value.split(",") if word.strip()] if isinstance(value, str) else value

    @field_validator("models", mode="after")
    @classmethod
    def _name_authors(cls, entries: tuple[ModelEntry, ...]) -> tuple[ModelEntry, ...]:
        return tuple(
            entry.model_copy(update={"name": f"{entry.label} (authors)"}) if _is_of_authors(entry) else entry
            for entry in entries
        )


class Plan(_Models):
    """All that decides the numbers of a benchmark.

    Attributes:
        models: models of this library; "all" are the training-free ones and those that ship weights, "none" is none.
        data: the folder of each data set by its name, or its two folders, or its list of pairs.
        fused: external results, which are pictures made elsewhere: a name, and their folder (of the only data set, or
            with a folder for each data set by name), or a folder for each data set.
        metrics: as for ``imfuse score``.
        convention: whose definitions.
        against: the method that the others are compared with; by default the first.
        family: which comparisons are corrected together: those of one "metric" on a data set, or all of its "data".
        recursive: look into the sub-folders of all data sets as well.
        range: what of the infrared picture becomes black and white, for fusing and for scoring.
        rig: file of the two cameras, where pairs are not registered; what both cameras show is scored.
        device: "auto", "cpu", "cuda", ...
        dtype: "auto" or one that every model computes in.

    Example:
        >>> Plan(data={"tno": "data/tno"}, models="auif", fused={"densefuse": "results/densefuse"}).methods
        ['auif', 'densefuse']
    """

    data: Annotated[dict[Name, Path | Folders], at_most(_MOST)]
    fused: Annotated[dict[Name, Path | dict[Name, Path]], at_most(_MOST)] = Field(default_factory=dict)
    metrics: File | Annotated[tuple[Name, ...], at_most(_MOST)] | None = None
    convention: Name = "plain"
    against: Name = ""
    family: Literal["metric", "data"] = "metric"
    recursive: bool = False
    range: Name = "auto"
    rig: Path | None = None
    device: Name = "auto"
    dtype: Name = "auto"

    @model_validator(mode="after")
    def _check(self) -> Plan:
        if not self.data:
            raise BenchmarkError("no data set is given", "use data={'NAME': 'DIR'}")
        if not self.methods:
            raise BenchmarkError("nothing to compare", "use models='all'", "use fused={'NAME': 'DIR'}")
        for name, place in self.data.items():
            if isinstance(place, Folders) and not place.complete:
                raise BenchmarkError(f"data.{name}: infrared and visible are expected, or pairs alone")
        check_names(list(self.data))
        check_names(self.methods)
        if self.against and self.against not in self.methods:
            raise BenchmarkError(f"against={self.against!r}: one of {', '.join(self.methods)} is expected")
        return self

    @property
    def methods(self) -> list[str]:
        """Names of the methods in the order of the tables."""
        return [entry.label for entry in self.models] + list(self.fused)

    def fused_folder(self, method: str, data: str) -> Path | None:
        """Where the external results of a method on a data set are; ``None`` where there are none."""
        place = self.fused[method]
        if isinstance(place, dict):
            return place.get(data)
        if (place / data).is_dir():
            return place / data
        return place if len(self.data) == 1 else None


def check_names(names: Sequence[str]) -> None:
    """Raise ``BenchmarkError`` for a name that cannot be that of a folder, or that two methods have."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise BenchmarkError(f"the name {name!r} cannot be used: it becomes the name of a folder")
        if names.count(name) > 1:
            raise BenchmarkError(
                f"two methods are called {name!r}", f"name one of them, as in models={f'NAME={name}'!r}"
            )


def make_plan(settings: Mapping[str, Any]) -> Plan:
    """Check the settings of a benchmark.

    Args:
        settings: the attributes of :class:`Plan` by name; models may be texts, ``[NAME=]MODEL[:WEIGHTS]``.

    Returns:
        The plan.

    Raises:
        BenchmarkError: a setting is unknown or wrong; the message is one line that begins with its name.

    Example:
        >>> make_plan({"data": {"tno": "data/tno"}, "models": "auif,didfuse"}).methods
        ['auif', 'didfuse']
    """
    return _validated(Plan, settings)


def parse_models(text: str) -> tuple[ModelEntry, ...]:
    """``[NAME=]MODEL[:WEIGHTS],...``, "all" that can be used at once, or "none". Raises ``BenchmarkError``.

    >>> [entry.label for entry in parse_models("auif,theirs=auif:file.safetensors")]
    ['auif', 'theirs']
    """
    return _validated(_Models, {"models": text}).models


def _validated(kind: type[_Kind], settings: Mapping[str, Any]) -> _Kind:
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        raise BenchmarkError(f"benchmark: {first_problem(error)}") from None


def read_settings(path: Path) -> dict[str, Any]:
    """Settings of a YAML file, whose relative folders and files are taken from its own folder."""
    content = read_yaml(path, BenchmarkError, "a file of settings")
    if not isinstance(content, dict):
        raise BenchmarkError(f"{printable(path)}: settings such as 'data:' and 'models:' are expected")
    base = path.parent
    for key in ("data", "fused"):
        if isinstance(content.get(key), dict):
            content[key] = {name: _rebased(place, base) for name, place in content[key].items()}
    if isinstance(content.get("models"), list):
        content["models"] = [_from_folder(entry, base) for entry in content["models"]]
    return content


def _is_of_authors(entry: ModelEntry) -> bool:
    """Whether the weights are a file that was converted from the authors' checkpoint; what is no file, loading says."""
    if entry.name or not entry.weights.endswith(".safetensors"):
        return False
    try:
        return read_header(Path(entry.weights)).get("recipe") == CONVERTED
    except WeightsError:
        return False


def _rebased(place: Any, base: Path) -> Any:
    if isinstance(place, dict):
        return {key: _rebased(value, base) for key, value in place.items()}
    return base / place if isinstance(place, str) else place


def _from_folder(entry: Any, base: Path) -> Any:
    """An entry whose files lie beside the YAML file; the names of methods and of shipped weights stay."""
    try:
        checked = ModelEntry.model_validate(entry)
    except ValidationError:
        return entry
    files = {}
    if checked.weights.endswith(".safetensors"):
        files["weights"] = str(base / checked.weights)
    if ".py:" in checked.model:
        files["model"] = str(base / checked.model)
    return checked.model_copy(update=files) if files else entry
