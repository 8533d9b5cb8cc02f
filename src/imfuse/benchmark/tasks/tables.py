"""Results of a task as Markdown, LaTeX and CSV: scores, differences from the controls, and which of them survive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imfuse.benchmark import escapes
from imfuse.benchmark.origins import Origin, footnotes, origin_of
from imfuse.benchmark.tasks.results import Difference, Measure, TaskResults, TaskRow
from imfuse.core.text import one_line
from imfuse.imaging import write_file
from imfuse.scoring.spreadsheet import csv_text

UNDEFINED = "-"
LABELS = Origin("labels", "*", "trained with class labels, which the others were not", r"$^{*}$")
_DIGITS = 3
_BETTER, _WORSE = "▲", "▼"


def write_task_tables(results: TaskResults, folder: Path) -> list[Path]:
    """Write ``task_NAME.md``, ``task_NAME.tex`` and ``task_NAME.csv``.

    Args:
        results: of a benchmark of a task.
        folder: the folder to write into; it is made.

    Returns:
        The three files.

    Raises:
        ImageError: the disk refuses.

    Example:
        ```python
        write_task_tables(read_task_results(Path("runs/m3fd"), "detect"), Path("tables"))
        ```
    """
    name = f"task_{results.task}"
    contents = {
        f"{name}.md": markdown(results).encode("utf-8", "backslashreplace"),
        f"{name}.tex": latex(results).encode("utf-8", "backslashreplace"),
        f"{name}.csv": csv(results),
    }
    for file, content in contents.items():
        write_file(folder / file, content, through_links=False)
    return [folder / file for file in contents]


def markdown(results: TaskResults, level: int = 2) -> str:
    """The scores, best bold; below, the differences of the means over classes from each control, with intervals."""
    names = {row: escapes.markdown(row) + marks(used) for row, used in results.rows.items()}
    head = ["", *map(escapes.markdown, results.measures)]
    rows = [[names[row], *_scores(results, row)] for row in results.rows]
    lines = [f"{'#' * level} {escapes.markdown(title(results))}", "", escapes.markdown(caption(results)), ""]
    lines += [*_table(head, rows), *(f"- {one.mark} {one.note}" for one in notes(results))]
    lines += ["", escapes.markdown(truths(results)), ""]
    for measure in results.headlines[:2]:
        lines += _differences(results, measure, names)
    return "\n".join([*lines, escapes.markdown(reading(results)), ""])


def latex(results: TaskResults) -> str:
    """One table for ``booktabs``."""
    yields = [
        r"% \usepackage{booktabs}",
        f"% {one_line(f'imfuse {results.imfuse}, {results.date}')}",
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{escapes.latex(f'{title(results)}. {caption(results)}')}}}",
        f"  \\label{{tab:{escapes.latex_label(f'{results.task}-{results.title}')}}}",
        f"  \\begin{{tabular}}{{l{'r' * len(results.measures)}}}",
        r"    \toprule",
        f"    {' & '.join(['', *map(escapes.latex, results.measures)])} \\\\",
        r"    \midrule",
    ]
    for row, used in results.rows.items():
        cells = [escapes.latex(row) + "".join(one.latex for one in _origins(used))]
        cells += [_bold(results, name, row, r"\textbf{%s}") for name in results.measures]
        yields.append(f"    {' & '.join(cells)} \\\\")
    yields += [r"    \bottomrule", r"  \end{tabular}"]
    yields += [f"  \\par\\footnotesize {one.latex} {escapes.latex(one.note)}" for one in notes(results)]
    return "\n".join([*yields, r"\end{table}"]) + "\n"


def csv(results: TaskResults) -> bytes:
    """A line for each row and measure, and for each row that it is compared with, in full precision."""
    head = ("row", "kind", "measure", "value", "std_over_seeds", "low", "high", "against", "difference")
    ends = ("pictures_low", "pictures_high", "seeds_low", "seeds_high", "survives")
    lines: list[Sequence[object]] = [(*head, *ends)]
    for row, used in results.rows.items():
        for name, one in used.measures.items():
            ends_of_own = one.pictures.low, one.pictures.high
            own: tuple[object, ...] = (row, used.kind, name, *map(_cell, (one.value, one.spread, *ends_of_own)))
            lines += [
                (*own, against, _cell(gain.value), *_ends(gain), int(gain.survives))
                for against, gain in one.differences.items()
            ] or [(*own, *[""] * (len(ends) + 2))]
    return csv_text(lines)


def title(results: TaskResults) -> str:
    """What is measured on what."""
    word = {"detect": "Detection", "segment": "Segmentation"}[results.task]
    return f"{word}: {results.title}, {results.pictures} pictures"


def caption(results: TaskResults) -> str:
    """What decides the numbers, in a sentence or two."""
    setting = ", ".join(f"{name} {value}" for name, value in results.setting.items() if name != "sha256")
    spread = " ± is the standard deviation over seeds." if any(one.seeds for one in results.rows.values()) else ""
    return f"{setting[:1].upper()}{setting[1:]}.{spread}"


def truths(results: TaskResults) -> str:
    """How many true boxes each class has, or which share of the pixels."""
    if results.task == "detect":
        return "True boxes: " + ", ".join(f"{name} {count:.0f}" for name, count in results.truths.items()) + "."
    return "Shares of the pixels: " + ", ".join(f"{name} {share:.2%}" for name, share in results.truths.items()) + "."


def reading(results: TaskResults) -> str:
    """Which rows may be called different from the control that they are compared with, by the first measure."""
    name, against = results.headlines[0], results.against
    better, worse = (
        [row for row, gain in _gains(results, name, against).items() if gain.survives and sign * (gain.value or 0) > 0]
        for sign in (1, -1)
    )
    said = [f"better than {against}: {', '.join(better) or 'none'}", f"worse: {', '.join(worse) or 'none'}"]
    return f"By {name}, where no interval contains 0: {'; '.join(said)}. All others are not told apart from {against}."


def notes(results: TaskResults) -> list[Origin]:
    """What the marks beside the rows say."""
    rows = results.rows.values()
    return footnotes(one.used for one in rows if one.used) + ([LABELS] if any(one.saw_labels for one in rows) else [])


def marks(row: TaskRow) -> str:
    """The marks beside a row: whose weights, and whether they saw class labels."""
    return "".join(one.mark for one in _origins(row))


def score_text(measure: Measure) -> str:
    """A score as printed, with its spread over seeds where there is one."""
    value = UNDEFINED if measure.value is None else f"{measure.value:.{_DIGITS}f}"
    return value if measure.spread is None else f"{value} ± {measure.spread:.{_DIGITS}f}"


def difference_text(gain: Difference) -> str:
    """A difference as printed, with its intervals, and a mark where it survives them."""
    if gain.value is None:
        return UNDEFINED
    intervals = [
        UNDEFINED if one.low is None or one.high is None else f"{one.low:+.{_DIGITS}f} to {one.high:+.{_DIGITS}f}"
        for one in (gain.pictures, gain.seeds)
        if one is not None
    ]
    mark = (_BETTER if gain.value > 0 else _WORSE) if gain.survives else ""
    return f"{gain.value:+.{_DIGITS}f} ({'; '.join(intervals)}) {mark}".rstrip()


def best_rows(results: TaskResults, measure: str) -> set[str]:
    """Rows that have the highest printed score; none where nothing was found."""
    values = {row: one.measures[measure].value for row, one in results.rows.items()}
    printed = {row: round(value, _DIGITS) for row, value in values.items() if value is not None}
    return {row for row, value in printed.items() if value == max(printed.values()) and value > 0}


def _scores(results: TaskResults, row: str) -> list[str]:
    return [_bold(results, name, row, "**%s**") for name in results.measures]


def _bold(results: TaskResults, measure: str, row: str, form: str) -> str:
    text = score_text(results.rows[row].measures[measure])
    if "textbf" in form:
        text = text.replace(" ± ", r" $\pm$ ")
    return form % text if row in best_rows(results, measure) else text


def _differences(results: TaskResults, measure: str, names: dict[str, str]) -> list[str]:
    """A table of one measure: a column for each row that is compared with."""
    compared = {name for one in results.rows.values() for name in one.measures[measure].differences}
    columns = [row for row in results.rows if row in compared]
    rows = []
    for row, used in results.rows.items():
        one = used.measures[measure]
        own = UNDEFINED if one.pictures.low is None else f"{one.pictures.low:.3f} to {one.pictures.high:.3f}"
        gains = [difference_text(one.differences[name]) if name in one.differences else "" for name in columns]
        rows.append([names[row], own, *gains])
    seeds = " (over pictures; over seeds)" if any(one.seeds for one in results.rows.values()) else ""
    words = f"{measure}: 95 % intervals over pictures, and differences{seeds}; {_BETTER} better, {_WORSE} worse in all:"
    head = ["", "interval", *(f"less {escapes.markdown(name)}" for name in columns)]
    return [escapes.markdown(words), "", *_table(head, rows)]


def _gains(results: TaskResults, measure: str, against: str) -> dict[str, Difference]:
    rows = {row: one.measures[measure].differences.get(against) for row, one in results.rows.items()}
    return {row: gain for row, gain in rows.items() if gain is not None}


def _origins(row: TaskRow) -> list[Origin]:
    own = [origin_of(row.used)] if row.used else []
    return own + ([LABELS] if row.saw_labels else [])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return [*(f"| {' | '.join(row)} |" for row in (head, rule, *rows)), ""]


def _ends(gain: Difference) -> list[str]:
    intervals = gain.pictures, gain.seeds
    return [_cell(end) for one in intervals for end in ((one.low, one.high) if one else (None, None))]


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)
