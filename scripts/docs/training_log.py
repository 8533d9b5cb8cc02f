"""Shorten the log of a training run to a CSV file of at most 200 rows, as ``docs/training`` keeps it.

``python -m scripts.docs.training_log RUN/log.jsonl docs/training/NAME/log.csv`` keeps the first and the last step,
steps evenly spaced between them, and all validations; where those alone would fill more than half of the rows, evenly
spaced ones of them, too. Values have seven digits; a value that a row does not have is an empty field.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

from imfuse.training.log import read_log

Row = dict[str, Any]
ROWS = 200


def evenly(rows: list[Row], count: int) -> list[Row]:
    """The first row, the last one and evenly spaced ones between them, ``count`` in all.

    >>> evenly([{"step": step} for step in range(9)], 3)
    [{'step': 0}, {'step': 4}, {'step': 8}]
    """
    if len(rows) <= count:
        return rows
    return [rows[round(place * (len(rows) - 1) / (count - 1))] for place in range(count)]


def shortened(rows: list[Row], most: int = ROWS) -> list[Row]:
    """At most ``most`` rows of a log, in its order."""
    steps = [row for row in rows if row["split"] == "train"]
    validations = [row for row in rows if row["split"] != "train"]
    validations = evenly(validations, max(most - len(steps), most // 2))
    kept = {id(row) for row in (*validations, *evenly(steps, most - len(validations)))}
    return [row for row in rows if id(row) in kept]


def write(rows: list[Row], path: Path) -> None:
    """Write rows as CSV; the columns are all names in the order in which they first appear."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            values = (row.get(name, "") for name in columns)
            writer.writerow([f"{value:.7g}" if isinstance(value, float) else value for value in values])


def main() -> int:
    """Read the log, write the CSV file, say how many rows are left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="log.jsonl of a run")
    parser.add_argument("output", type=Path, help="CSV file to write")
    parser.add_argument("--rows", type=int, default=ROWS, help="at most so many (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.rows < 4:
        parser.error("--rows: 4 is the least")
    rows = read_log(arguments.log)
    kept = shortened(rows, arguments.rows)
    write(kept, arguments.output)
    print(f"{arguments.output}: {len(kept)} of {len(rows)} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
