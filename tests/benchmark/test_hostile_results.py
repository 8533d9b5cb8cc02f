"""``results.json`` of somebody who means no good: one line of refusal, or text that is text wherever it is shown."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imfuse.benchmark import escapes
from imfuse.benchmark.figure import Row, parse_row, write_figure
from imfuse.benchmark.report import write_report
from imfuse.benchmark.results import Results, read_results
from imfuse.benchmark.table import tables_of
from imfuse.benchmark.tables import write_tables
from imfuse.cli.main import main
from imfuse.core.errors import BenchmarkError, ImfuseError
from imfuse.imaging import read_image, write_image

HASH = 64 * "0"
EVIL = "x\n\\input{/etc/passwd}|<img src=x onerror=alert(1)>[a](javascript:1) $^{_%&#~`\x1b[31m\u202e*_b_"


def content_of(folder: Path) -> dict[str, Any]:
    """Results of two pairs whose pictures lie in ``folder``, as their owner would write them."""
    random = np.random.default_rng(0)
    pictures: dict[str, dict[str, Any]] = {"ours": {}, "theirs": {}}
    for name in ("1", "2"):
        for side in ("ir", "vi", "ours", "theirs"):
            write_image(folder / side / f"{name}.png", random.integers(0, 256, (24, 32), np.uint8))
        for method in pictures:
            scores = {"EN": 6 + random.random(), "SD": None}
            pictures[method][name] = {"file": f"{method}/{name}.png", "sha256": "", "scores": scores}
    metric = {"name": "entropy", "unit": "bit", "better": "higher", "accident": ""}
    model = {"kind": "model", "model": "seafusion", "title": "SeAFusion", "paper": "", "options": {}}
    weights = {"name": "default", "sha256": HASH, "recipe": "ours"}
    return {
        "format": 1, "imfuse": "0", "date": "today", "environment": {}, "range": "full", "against": "ours",
        "convention": {"name": "plain", "origin": "theirs", "gray": "matlab"},
        "metrics": {"EN": metric, "SD": metric},
        "methods": {
            "ours": {**model, "dtype": "float32", "weights": weights},
            "theirs": {"kind": "pictures", "title": "x"},
        },
        "data": {"own": {
            "title": "own", "infrared": "ir", "visible": "vi",
            "pairs": {name: {"infrared": f"{name}.png", "visible": f"{name}.png"} for name in ("1", "2")},
            "pictures": pictures,
        }},
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "results"
    place.mkdir()
    return place


@pytest.fixture
def content(folder: Path) -> dict[str, Any]:
    return content_of(folder)


def written(content: dict[str, Any], folder: Path) -> Results:
    (folder / "results.json").write_text(json.dumps(content))
    return read_results(folder)


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line in which the command refuses the results of a folder."""
    assert main(["benchmark", "report", str(folder)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("imfuse: error: ")
    assert err.count("\n") == 1
    assert len(err) < 1000
    return err


def picture(content: dict[str, Any]) -> Any:
    return content["data"]["own"]["pictures"]["ours"]["1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(metrics={}), "metrics: 0 entries found, 1 to"),
        (lambda c: c.update(methods=[]), "methods: "),
        (lambda c: c.update(methods={}), "methods: 0 entries found"),
        (lambda c: c.update(data={}), "data: 0 entries found"),
        (lambda c: c.update(convention={}), "convention.name: Field required"),
        (lambda c: c.update(range="bogus"), "range: range 'bogus': expected"),
        (lambda c: c.update(date="x" * 3000), "date: 3000 characters found, at most 1024"),
        (lambda c: c["methods"].update({"m" * 3000: c["methods"]["theirs"]}), "3000 characters found, at most 1024"),
        (lambda c: c["methods"]["theirs"].update(kind="\x1b[31m\n" + "k" * 10**6), "methods.theirs: Input tag"),
        (lambda c: c["data"]["own"].update(pairs={}), "pictures of 'ours': no pair '1'"),
        (lambda c: picture(c)["scores"].update(SF=1), "scores of 'ours': 'SF' is none of the metrics"),
        (lambda c: picture(c)["scores"].update(EN=1e300), "scores.EN: Input should be less than or equal to"),
        (lambda c: picture(c)["scores"].update(EN=10**400), "scores.EN: Input should be a valid number"),
        (lambda c: picture(c)["scores"].update({str(i): 1 for i in range(2000)}), "scores: 2002 entries found"),
        (lambda c: picture(c).pop("scores"), "scores: Field required"),
        (lambda c: c.update(significance={"family": "all"}), "significance.family: "),
        (lambda c: c.update(format={"a": ["b" * 10**6] * 9}), "of format {'a': ["),
        (lambda c: c["data"]["own"]["missing"].update(ours=[5] * 5000), "5000 values are not what is expected there"),
    ],
)
def test_what_does_not_fit_is_one_line(
    folder: Path,
    content: dict[str, Any],
    change: Callable[[Any], object],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content["data"]["own"]["missing"] = {}
    change(content)
    (folder / "results.json").write_text(json.dumps(content))
    err = refused(folder, capsys)
    assert message in err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: file.write_text("[" * 200_000), "not a JSON file"),
        (lambda file: file.write_text('{"format":1,"data":' + '{"a":' * 100_000), "not a JSON file"),
        (lambda file: file.write_text("[" + "[]," * 2_000_000 + "[]]"), "values found, at most 1500000 are read"),
        (lambda file: file.symlink_to("/dev/zero"), "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (lambda file: (file.touch(), os.truncate(file, 40 << 30)), f"has {40 << 30} bytes, at most"),
    ],
)
def test_deep_huge_and_endless_files(
    folder: Path, make: Callable[[Path], object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = time.monotonic()
    make(folder / "results.json")
    assert message in refused(folder, capsys)
    assert time.monotonic() - begin < 20


def named(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Everything that results name is called ``name``."""
    content["methods"] = {name: content["methods"]["ours"], "=cmd()": content["methods"]["theirs"]}
    content["methods"][name]["title"] = content["against"] = content["date"] = content["imfuse"] = name
    own = content["data"].pop("own")
    own["title"] = name
    own["pairs"] = {name: own["pairs"]["1"], "@SUM(1)": own["pairs"]["2"]}
    own["pictures"] = {
        method: {name: pictures["1"], "@SUM(1)": pictures["2"]}
        for method, pictures in zip(content["methods"], own["pictures"].values(), strict=True)
    }
    content["data"][name] = own
    return content


def test_latex_holds_no_command_of_a_name(folder: Path, content: dict[str, Any]) -> None:
    write_tables(written(named(content, EVIL), folder), folder)
    lines = (folder / "tables.tex").read_text("utf-8").splitlines()
    assert not any("\\input" in line for line in lines if not line.startswith("%"))
    assert not any(line.startswith(r"\input") for line in lines)
    (label,) = (line for line in lines if "\\label" in line)
    assert re.fullmatch(r"  \\label\{tab:[\w.+-]+\}", label, re.ASCII)
    text = "\n".join(line.partition("%")[0] if line.startswith(("%", "    %")) else line for line in lines)
    assert "\x1b" not in text
    assert "\u202e" not in text
    # Every brace, dollar and hash of a name is printed, so what remains is in order.
    bare = re.sub(r"\\[\\{}$&#_%]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not set("#~`") & set(bare)


def test_latex_rows_do_not_begin_with_an_argument() -> None:
    r"""``\\`` of the row before would take it."""
    assert not escapes.latex("[3cm] x").startswith("[")
    assert not escapes.latex("*").startswith("*")


def test_markdown_holds_no_html_and_no_link(folder: Path, content: dict[str, Any]) -> None:
    write_tables(written(named(content, EVIL + " https://a.b www.a.b"), folder), folder)
    text = (folder / "tables.md").read_text("utf-8")
    assert "<img" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    assert not re.search(r"https?://|www\.", text)
    assert "\x1b" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 2, "the two tables keep their columns"


def test_cells_of_csv_are_no_formulas(folder: Path, content: dict[str, Any]) -> None:
    write_tables(written(named(content, "\t+1"), folder), folder)
    for name in ("values.csv", "summary.csv"):
        cells = [cell for row in csv.reader(io.StringIO((folder / name).read_text("utf-8"))) for cell in row]
        assert "'=cmd()" in cells
        assert r"\t+1" in cells
        for cell in cells:
            assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell
    assert "'@SUM(1)" in (folder / "values.csv").read_text("utf-8")


class _Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, value in attrs]


def test_the_report_shows_names_as_text(folder: Path, content: dict[str, Any]) -> None:
    text = write_report(written(named(content, EVIL), folder), folder).read_text("utf-8")
    page = _Page()
    page.feed(text)
    assert not [name for name in page.attributes if name.startswith("on")]
    assert page.tags.count("script") == 1 + 2 + 1
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_terminal_shows_names_as_text(
    folder: Path, content: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from imfuse.cli.benchmark import _print_tables

    _print_tables(written(named(content, EVIL), folder))
    out = capsys.readouterr().out
    assert "\x1b[31m" not in out
    assert "\u202e" not in out


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A picture of the person who opens the results, not of the one who wrote them."""
    write_image(tmp_path / "secret.png", np.full((24, 32), 77, np.uint8))
    return tmp_path / "secret.png"


def ways_out(secret: Path, folder: Path) -> dict[str, str]:
    (folder / "link.png").symlink_to(secret)
    (folder / "up").symlink_to(secret.parent)
    return {"absolute": str(secret), "above": "../secret.png", "link": "link.png", "folder": "up/secret.png"}


@pytest.mark.parametrize("way", ["absolute", "above", "link", "folder"])
@pytest.mark.parametrize("listed", ["", HASH])
def test_pictures_elsewhere_are_not_shown(
    folder: Path, content: dict[str, Any], secret: Path, way: str, listed: str
) -> None:
    picture(content).update(file=ways_out(secret, folder)[way], sha256=listed)
    results = written(content, folder)
    with pytest.warns(UserWarning, match=r"1 of the pictures cannot be shown, such as .*outside the folder"):
        report = write_report(results, folder).read_text("utf-8")
    shown = re.search(r'id="p0-0">(.*?)</script>', report)
    assert shown is not None
    assert set(json.loads(shown[1])) == {"ir", "vi", "1"}
    with pytest.raises(BenchmarkError, match="outside the folder of the results"):
        write_figure(results, folder, [Row("own", "1")], ["ours"], folder / "figure")


def test_sources_elsewhere_are_not_shown(folder: Path, content: dict[str, Any], secret: Path) -> None:
    shutil.move(folder / "ir", folder.parent / "ir")
    for place in (str(folder.parent / "ir"), "../ir"):
        content["data"]["own"]["infrared"] = place
        results = written(content, folder)
        with pytest.raises(BenchmarkError, match="outside the folder of the results"):
            write_figure(results, folder, [Row("own", "1")], ["ours"], folder / "figure")
    content["data"]["own"]["infrared"] = "vi"
    content["data"]["own"]["pairs"]["1"]["infrared"] = "../../secret.png"
    with pytest.raises(BenchmarkError, match="outside the folder of the results"):
        write_figure(written(content, folder), folder, [Row("own", "1")], ["ours"], folder / "figure")


def test_pictures_elsewhere_are_shown_by_their_content(folder: Path, content: dict[str, Any], secret: Path) -> None:
    """Whoever wrote the results had the picture: a benchmark's own sources, and pictures that were made elsewhere."""
    from imfuse.imaging.read import image_hash

    picture(content).update(file=str(secret), sha256=image_hash(secret))
    results = written(content, folder)
    (png, _) = write_figure(results, folder, [Row("own", "1")], ["ours"], folder / "figure")
    assert 77 in read_image(png)
    write_image(secret, np.full((24, 32), 78, np.uint8))
    with pytest.raises(BenchmarkError, match="not the picture that they list"):
        write_figure(results, folder, [Row("own", "1")], ["ours"], folder / "figure")


@pytest.mark.parametrize("file", ["/dev/zero", "pipe.png", "circle.png", "a\0b"])
def test_what_is_no_picture_holds_nothing_up(folder: Path, content: dict[str, Any], file: str) -> None:
    os.mkfifo(folder / "pipe.png")
    (folder / "circle.png").symlink_to("circle.png")
    picture(content).update(file=file)
    with pytest.raises(ImfuseError):
        write_figure(written(content, folder), folder, [Row("own", "1")], ["ours"], folder / "figure")


def test_links_in_the_folder_are_not_written_through(folder: Path, content: dict[str, Any], secret: Path) -> None:
    before = secret.read_bytes()
    for name in ("figure.png", "figure.pdf", "tables.md", "tables.tex", "values.csv", "summary.csv", "report.html"):
        (folder / name).symlink_to(secret)
    results = written(content, folder)
    write_figure(results, folder, [Row("own", "1")], [], folder / "figure")
    write_tables(results, folder)
    write_report(results, folder)
    assert secret.read_bytes() == before


def test_messages_name_few_and_as_text(folder: Path, content: dict[str, Any]) -> None:
    content["methods"] |= {f"\x1b[31m{i}": content["methods"]["theirs"] for i in range(500)}
    results = written(named(content, EVIL), folder)
    for wrong in (
        lambda: parse_row("none", results),
        lambda: parse_row("none/1", results),
        lambda: write_figure(results, folder, [], ["none"], folder / "figure"),
    ):
        with pytest.raises(BenchmarkError) as caught:
            wrong()
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 3000


def test_a_method_whose_name_is_mathematics(folder: Path, content: dict[str, Any]) -> None:
    results = written(named(content, r"$\frac{$"), folder)
    (data,) = results.data
    write_figure(results, folder, [Row(data, next(iter(results.data[data].pairs)))], [], folder / "figure")


def test_values_of_any_size_make_tables(folder: Path, content: dict[str, Any]) -> None:
    for number, value in enumerate((1e100, -1e100, 1e-300, 0)):
        method, name = ("ours", "theirs")[number % 2], ("1", "2")[number // 2]
        content["data"]["own"]["pictures"][method][name]["scores"]["EN"] = value
    results = written(content, folder)
    write_tables(results, folder)
    assert len(tables_of(results)) == 1
