"""Tables that articles print, as numbers with their source."""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from imfuse.core.errors import BenchmarkError
from imfuse.metrics import METRICS

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Column:
    """A printed column: whether our numbers of that symbol mean the same, and what to know of it."""

    symbol: str
    compare: bool = True
    note: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """Mean scores that an article prints.

    Attributes:
        name: by which it is chosen.
        cite: the article.
        table: which of its tables.
        data: the data set, by its name in ``docs/datasets.md``.
        pairs: how many it has; 0 where the article does not say.
        convention: under which our numbers are comparable.
        columns: by printed name.
        rows: method, then printed value by column.
        digits: how many are printed behind the point.
    """

    name: str
    cite: str
    table: str
    data: str
    pairs: int
    convention: str
    columns: dict[str, Column] = field(default_factory=dict)
    rows: dict[str, dict[str, float]] = field(default_factory=dict)
    digits: int = 4

    @property
    def compared(self) -> tuple[str, ...]:
        """Symbols whose numbers mean the same here and there."""
        return tuple(column.symbol for column in self.columns.values() if column.compare)


@dataclass(frozen=True)
class PublishedTask:
    """Scores of a task that an article prints.

    Attributes:
        name: by which it is chosen.
        cite: the article.
        table: which of its tables.
        task: "detect" or "segment".
        data: the data set, by its name in ``docs/datasets.md``.
        protocol: which classes are scored.
        note: what a reader of the differences has to know.
        rows: method, then printed value by measure, in per cent.
    """

    name: str
    cite: str
    table: str
    task: str
    data: str
    protocol: str
    note: str
    rows: dict[str, dict[str, float]]


def list_published_tasks() -> list[str]:
    """Names of the tables of tasks.

    >>> list_published_tasks()
    ['refinefuse-detection']
    """
    return list(_sources().tasks)


def get_published_task(name: str) -> PublishedTask:
    """A table of a task by its name, one of :func:`list_published_tasks`.

    >>> get_published_task("refinefuse-detection").rows["RefineFuse"]["mAP50"]
    88.4
    """
    sources = _sources()
    entry = sources.tasks[name]
    rows = {method: {measure: float(word) for measure, word in row.items()} for method, row in read_rows(name).items()}
    cite = sources.articles[entry.article].cite
    return PublishedTask(name, cite, entry.table, entry.task, entry.data, entry.protocol, entry.note, rows)


def list_published() -> list[str]:
    """Names of the tables.

    >>> "refinefuse-tno" in list_published()
    True
    """
    return list(_sources().tables)


def get_published(name: str) -> PublishedTable:
    """A table by its name; ``BenchmarkError`` shows the nearest one.

    >>> get_published("refinefuse-tno").rows["DenseFuse"]["EN"]
    6.8193
    """
    sources = _sources()
    if name not in sources.tables:
        near = difflib.get_close_matches(name, sources.tables, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise BenchmarkError(
            f"no published table {name!r}; {hint}there are {', '.join([*sources.tables, *sources.tasks])}"
        )
    entry = sources.tables[name]
    article = sources.articles[entry.article]
    printed = read_rows(name)
    symbols = [symbol for symbol in next(iter(printed.values())) if symbol in METRICS]
    return PublishedTable(
        name,
        article.cite,
        entry.table,
        entry.data,
        entry.pairs,
        article.convention,
        {symbol: article.column(symbol) for symbol in symbols},
        {method: {symbol: float(row[symbol]) for symbol in symbols} for method, row in printed.items()},
        max(len(row[symbol].partition(".")[2]) for row in printed.values() for symbol in symbols),
    )


def read_rows(name: str) -> dict[str, dict[str, str]]:
    """The printed words of a table by method and column."""
    with (_HERE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return {row.pop("Method"): row for row in csv.DictReader(file)}


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Column(_Entry):
    compare: bool
    note: str


class _Article(_Entry):
    cite: str
    convention: str
    columns: dict[str, _Column] = Field(default_factory=dict)

    def column(self, symbol: str) -> Column:
        """A printed column, with its note if there is one."""
        unusual = self.columns.get(symbol)
        return Column(symbol) if unusual is None else Column(symbol, unusual.compare, unusual.note)


class _Table(_Entry):
    article: str
    table: str
    data: str
    pairs: int = 0


class _TaskTable(_Entry):
    article: str
    table: str
    task: str
    data: str
    protocol: str
    note: str


class _Sources(_Entry):
    articles: dict[str, _Article]
    tables: dict[str, _Table]
    tasks: dict[str, _TaskTable]


@cache
def _sources() -> _Sources:
    return _Sources.model_validate(yaml.safe_load((_HERE / "sources.yaml").read_text(encoding="utf-8")))
