"""Statistics as a small table in HTML, which notebooks show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from imfuse.metrics import METRICS
from imfuse.scoring.summary import Summary

_UNDEFINED = "–"


def html_table(summaries: Mapping[str, Mapping[str, Summary]], metrics: Sequence[str], caption: str) -> str:
    """A row for each method: means with their standard deviations, the best of each column bold.

    Args:
        summaries: by method and symbol.
        metrics: symbols, one for each column.
        caption: what stands above.

    Returns:
        A ``<table>``, escaped.
    """
    head = "".join(f"<th>{_text(f'{symbol} {METRICS[symbol].arrow}'.strip())}</th>" for symbol in metrics)
    columns = [list(_cells([one[symbol] for one in summaries.values()], METRICS[symbol].better)) for symbol in metrics]
    rows = "".join(
        f"<tr><th>{_text(method)}</th>{''.join(cells)}</tr>" for method, *cells in zip(summaries, *columns, strict=True)
    )
    head = f"<thead><tr><th></th>{head}</tr></thead>"
    return f"<table><caption>{_text(caption)}</caption>{head}<tbody>{rows}</tbody></table>"


def _cells(summaries: Sequence[Summary], better: str) -> Iterator[str]:
    """The cell of each method in one column; the best is that of the printed digits, so equal ones are equally bold."""
    means = [f"{one.mean:.5g}" for one in summaries]
    ranked = [float(mean) for mean in means if mean != "nan"]
    choose = {"higher": max, "lower": min}.get(better)
    best = choose(ranked) if choose and len(ranked) > 1 else math.nan
    for one, mean in zip(summaries, means, strict=True):
        word = f"<b>{mean}</b>" if float(mean) == best else mean if one.count else _UNDEFINED
        spread = f" <small>± {one.std:.2g}</small>" if one.count > 1 else ""
        yield f"<td>{word}{spread}</td>"


def _text(text: str) -> str:
    """Escaped; names of files may be no text."""
    return escape(text.encode("utf-8", "backslashreplace").decode())
