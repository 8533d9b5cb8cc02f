from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from imfuse.benchmark.figure import Detail, Row, _draw, parse_row, standing_out, write_figure
from imfuse.benchmark.plan import make_plan
from imfuse.benchmark.results import Results
from imfuse.benchmark.runner import run_benchmark
from imfuse.cli.main import main
from imfuse.core.errors import BenchmarkError
from imfuse.imaging import read_image, write_image


@pytest.fixture
def results(pairs: Path) -> Results:
    fused = {"dark": pairs / "dark"}
    plan = make_plan({"data": {"mine": pairs / "set"}, "models": "auif", "fused": fused, "metrics": "EN"})
    found = run_benchmark(plan, pairs / "out", workers=1)
    found.write(pairs / "out" / "results.json")
    return found


def test_rows(results: Results) -> None:
    assert parse_row("2", results) == Row("mine", "2")
    assert parse_row("mine/10@0.5,0.25,0.2@1,0", results) == Row(
        "mine", "10", (Detail(0.5, 0.25, 0.2), Detail(1.0, 0.0))
    )
    for text in ("3", "other/1", "1@", "1@2,0", "1@a,b", "1@0,0,0,0", "1" + "@0,0" * 4, ""):
        with pytest.raises(BenchmarkError, match=r"^pair="):
            parse_row(text, results)


def test_what_stands_out() -> None:
    picture = np.full((100, 200), 80, np.uint8)
    picture[60:68, 150:156] = 200
    picture[20:28, 40:46] = 0
    found = standing_out(picture)
    assert (found.x, found.y) == pytest.approx((0.765, 0.64), abs=0.02)


def test_the_figure_shows_the_pictures(pairs: Path) -> None:
    """Columns in their order; a method without a picture leaves its place white; equal calls give equal bytes."""
    for side, level in (("set/ir", 10), ("set/vi", 120)):
        write_image(pairs / side / "1.png", np.full((48, 64), level, np.uint8))
    write_image(pairs / "dark" / "1.png", np.full((48, 64), 60, np.uint8))
    plan = make_plan({"data": {"mine": pairs / "set"}, "models": "auif", "fused": {"dark": pairs / "dark"}})
    results = run_benchmark(plan, pairs / "out", workers=1)
    results.data["mine"].pictures["auif"].pop("1")
    files = write_figure(
        results, pairs / "out", [Row("mine", "1", (Detail(0.2, 0.2, 0.1),))], [], pairs / "new" / "fig"
    )
    assert [file.name for file in files] == ["fig.png", "fig.pdf"]
    assert files[1].read_bytes().startswith(b"%PDF")
    pixels = read_image(files[0])
    height, width = pixels.shape[:2]
    # Near the upper right corner of each column, where neither the frame nor the inset is.
    found = [int(pixels[height * 2 // 5, int(width * (column + 0.9) / 4)].mean()) for column in range(4)]
    assert found == [10, 120, 255, 60]
    before = [file.read_bytes() for file in files]
    write_figure(results, pairs / "out", [Row("mine", "1", (Detail(0.2, 0.2, 0.1),))], [], pairs / "new" / "fig")
    assert [file.read_bytes() for file in files] == before


def test_titles_keep_to_their_columns(pairs: Path) -> None:
    names = ["a_method_of_a_long_name", "another_such_method (authors)", "a_third_one_of_them (authors)"]
    fused = dict.fromkeys(names, pairs / "dark")
    plan = make_plan({"data": {"mine": pairs / "set"}, "fused": fused, "metrics": "EN"})
    found = run_benchmark(plan, pairs / "out", workers=1)
    figure = _draw(found, pairs / "out", [Row("mine", "1")], [*names, *names])
    panels = figure.axes[:8]
    boxes = [panel.title.get_window_extent() for panel in panels]
    assert [panel.title.get_text() for panel in panels][2:4] == [f"{names[0]}§", "another_such_method\n(authors)§"]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert max(box.y1 for box in boxes) <= figure.bbox.y1


def test_command(results: Results, pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "figure", str(pairs / "out"), "--methods", "dark", "-o", str(pairs / "a")]) == 0
    assert (pairs / "a.png").is_file()
    assert main(["benchmark", "figure", str(pairs / "out"), "--methods", "x"]) == 2
    assert "no method 'x'" in capsys.readouterr().err
    assert main(["benchmark", "figure", str(pairs / "out"), "--pair", "1@2,0"]) == 2
    assert "--pair 1@2,0: X, Y and SIZE" in capsys.readouterr().err
    assert main(["benchmark", "figure", str(pairs)]) == 2
    assert "results.json" in capsys.readouterr().err
    assert main(["benchmark", "report", str(pairs / "out")]) == 0
    assert (pairs / "out" / "report.html").is_file()
    assert main(["benchmark", "report", str(pairs / "out" / "results.json"), "-o", str(pairs / "copy")]) == 0
    for name in ("report.html", "tables.md"):
        assert (pairs / "copy" / name).read_bytes() == (pairs / "out" / name).read_bytes()
