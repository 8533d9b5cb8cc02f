"""``report.html``: one page that opens from disk, with tables, curves, ranks, and every picture beside the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imfuse.benchmark.origins import footnotes, labels_of, origin_of
from imfuse.benchmark.report.pictures import embed_pictures
from imfuse.benchmark.results import Results
from imfuse.benchmark.statistics import critical_difference, mean_ranks, value_table
from imfuse.benchmark.table import Table, caption, comparison_note, tables_of
from imfuse.core.errors import ImfuseError
from imfuse.core.text import printable
from imfuse.imaging import write_file
from imfuse.metrics import METRICS

if TYPE_CHECKING:
    import jinja2

_HERE = Path(__file__).parent
_SCRIPTS = ("charts.js", "viewer.js", "page.js")
_DIGITS = 6


def check_report() -> None:
    """Raise ``ImfuseError`` where the packages that a report needs are not installed."""
    try:
        import jinja2  # noqa: F401
    except ModuleNotFoundError:
        raise ImfuseError("a report needs another package: pip install 'imfuse[report]'") from None


def write_report(results: Results, folder: Path, output: Path | None = None) -> Path:
    """Write ``report.html``, one page that opens from disk. Equal results make equal bytes.

    Args:
        results: of a benchmark.
        folder: that of the results, where their pictures are.
        output: the folder to write into; by default that of the results.

    Returns:
        The file.

    Raises:
        ImfuseError: Jinja2 is not installed, or the disk refuses.

    Example:
        ```python
        write_report(read_results(Path("runs/tno")), Path("runs/tno"))
        ```
    """
    check_report()
    tables = tables_of(results)
    page = (
        page_environment()
        .get_template("page.html")
        .render(
            results=results,
            tables=tables,
            caption=caption,
            comparison_note=comparison_note,
            labels=labels_of(results.methods),
            footnotes=footnotes(results.methods.values()),
            origin_of=origin_of,
            numbers={method: i for i, method in enumerate(results.methods)},
            specs=METRICS,
            style=source("page.css"),
            script=source(*_SCRIPTS),
            content=_content(results, tables),
            pictures=embed_pictures(results, [table.name for table in tables], folder),
            problems=list(_problems(results)),
        )
    )
    # Names of files may be no text.
    file = (output or folder) / "report.html"
    write_file(file, page.encode("utf-8", "backslashreplace"), through_links=False)
    return file


def page_environment() -> jinja2.Environment:
    """What fills the pages of this folder: whatever comes from others is text there, and nothing else."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(_HERE),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )
    # Metrics keep their order.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return environment


def source(*names: str) -> Any:
    """Files of this package, which need no escapes in the page."""
    from markupsafe import Markup

    return Markup("\n".join((_HERE / name).read_text(encoding="utf-8") for name in names))


def _shown(value: Any) -> Any:
    """What stands in the page for a value: no name turns the direction of writing, or hides a part of itself."""
    from markupsafe import Markup

    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _content(results: Results, tables: list[Table]) -> dict[str, Any]:
    """What the scripts draw from."""
    metrics = {
        symbol: {"name": METRICS[symbol].name, "unit": METRICS[symbol].unit, "better": METRICS[symbol].better}
        for symbol in results.metrics
    }
    methods = [printable(label) for label in labels_of(results.methods).values()]
    return {"metrics": metrics, "methods": methods, "sets": [_set(results, table) for table in tables]}


def _set(results: Results, table: Table) -> dict[str, Any]:
    scores, places = table.scores, {method: i for i, method in enumerate(results.methods)}
    names = list(dict.fromkeys(row.image for row in scores.rows))
    ranks = {}
    for symbol in scores.metrics:
        means, pairs = mean_ranks(scores, symbol)
        if len(means) > 1 and np.isfinite(means).all():
            difference = critical_difference(len(means), pairs)
            ranks[symbol] = {"means": _rounded(means), "pairs": pairs, "difference": round(difference, 4)}
    return {
        "title": printable(table.title),
        "methods": [places[method] for method in scores.methods],
        "pairs": [printable(name) for name in names],
        # By metric, pair, method.
        "values": {symbol: _rounded(value_table(scores, symbol)) for symbol in scores.metrics},
        "ranks": ranks,
    }


def _rounded(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return [_rounded(value) for value in values]
    return float(f"{values:.{_DIGITS}g}") if np.isfinite(values) else None


def _problems(results: Results) -> list[str]:
    """What has no scores, a line each."""
    lines = []
    for name, data in results.data.items():
        for method, reasons in data.failed.items():
            lines += [f"{name}, {method or 'all methods'}, {pair}: {reason}" for pair, reason in reasons.items()]
        for method, pairs in data.missing.items():
            lines += [f"{name}, {method}, {pair}: no fused picture" for pair in pairs]
    return lines
