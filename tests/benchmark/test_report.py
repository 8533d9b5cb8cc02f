from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imfuse.benchmark.plan import make_plan
from imfuse.benchmark.report import write_report
from imfuse.benchmark.results import Results
from imfuse.benchmark.runner import run_benchmark
from imfuse.core.errors import ImfuseError
from imfuse.imaging import write_image

# As WebDriver numbers the arrow keys.
LEFT, RIGHT = "\ue012", "\ue014"
NASTY = "n<script>alert(1)<"


@pytest.fixture
def results(pairs: Path) -> Results:
    """Two data sets, one with a name that is no HTML; a colour picture; a pair that failed."""
    random = np.random.default_rng(5)
    for side in ("ir", "vi"):
        write_image(pairs / "two" / side / f"{NASTY}.png", random.integers(0, 256, (40, 40), np.uint8))
        write_image(pairs / "two" / side / "b.png", random.integers(0, 256, (40, 40), np.uint8))
    fused = {"dark": {"mine": pairs / "dark"}, "bright": {"mine": pairs / "bright"}}
    (pairs / "bright" / "2.png").write_bytes(b"")
    data = {"mine": pairs / "set", "two": pairs / "two"}
    plan = make_plan({"data": data, "models": "auif", "fused": fused, "metrics": "EN,SD,MSE"})
    return run_benchmark(plan, pairs / "out", workers=1)


def test_equal_results_give_equal_bytes(results: Results, pairs: Path) -> None:
    first = write_report(results, pairs / "out").read_bytes()
    assert write_report(results, pairs / "out").read_bytes() == first


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]


def test_nothing_comes_from_outside(results: Results, pairs: Path) -> None:
    text = write_report(results, pairs / "out").read_text("utf-8")
    links = _Links()
    links.feed(text)
    assert all(link.startswith(("#", "data:")) or link == "" for link in links.found)
    assert not re.search(r"url\((?!\"?\$)|@import|fetch\(|XMLHttp", text)
    # Names of files are no part of the page: the data, five pairs, the program.
    assert NASTY not in text
    assert links.scripts == 1 + 5 + 1


def test_large_sets_are_shrunk(results: Results, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = len(write_report(results, pairs / "out").read_bytes())
    monkeypatch.setattr("imfuse.benchmark.report.pictures._ALL_PIXELS", 5000)
    assert len(write_report(results, pairs / "out").read_bytes()) < whole - 20_000


def test_without_jinja(results: Results, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImfuseError, match=r"imfuse\[report\]"):
        write_report(results, pairs / "out")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = programs[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1400,1000")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(programs[1]))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, results: Results, pairs: Path) -> Any:
    """The report, opened from disk; no test may leave an error on the console."""
    browser.get(write_report(results, pairs / "out").as_uri())
    yield browser
    assert browser.get_log("browser") == []


def texts(page: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((x) => x.textContent.trim())"
    found: list[str] = page.execute_script(script, selector)
    return found


def eventually(page: Any, expression: str) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(page, 20).until(lambda driver: driver.execute_script(f"return {expression}"))


def click(page: Any, selector: str) -> None:
    page.execute_script("document.querySelector(arguments[0]).click()", selector)


def press(page: Any, selector: str, *keys: str) -> None:
    page.find_element("css selector", selector).send_keys(*keys)


def test_it_opens_with_everything(page: Any) -> None:
    assert texts(page, ".pill") == ["mine", "two"]
    assert texts(page, ".set:not([hidden]) tbody th") == ["1auif† ref", "2dark§", "3bright§"]
    for charts in ("rank", "curve", "box"):
        assert len(texts(page, f"#{charts}-charts figure")) == 3
    assert texts(page, "#panels figcaption") == ["infrared", "visible", "1auif†", "2dark§", "3bright§"]
    assert eventually(page, "[...document.images].every((image) => !image.src || image.naturalWidth > 0)")
    assert "2.png: the file is empty" in " ".join(texts(page, "#about li"))


def test_sorting(page: Any) -> None:
    row = "return [...document.querySelectorAll('.set:not([hidden]) tbody tr')].map((row) => row.cells[arguments[0]]"
    for column in (1, 3):
        heading = f".set:not([hidden]) thead th:nth-child({column + 1}) button"
        press(page, heading, "\n")
        found = [float(x) for x in page.execute_script(f"{row}.dataset.value)", column)]
        assert found == sorted(found, reverse=column == 1)
        click(page, heading)
        turned = [float(x) for x in page.execute_script(f"{row}.dataset.value)", column)]
        assert turned == found[::-1]
    click(page, ".set:not([hidden]) thead th:first-child button")
    names = texts(page, ".set:not([hidden]) tbody th")
    assert names == sorted(names)
    assert texts(page, "[aria-sort]") == ["Method"]


def test_pairs_and_data_sets(page: Any) -> None:
    assert texts(page, "#pair-name") == ["mine, pair 1 (1 of 3)"]
    click(page, "#next")
    assert texts(page, "#pair-name") == ["mine, pair 2 (2 of 3)"]
    # The third method has no picture of this pair.
    assert texts(page, "#panels figcaption") == ["infrared", "visible", "1auif†", "2dark§"]
    assert texts(page, "#pair-scores tbody tr:last-child td") == ["–"] * 3
    press(page, "body", "n")
    press(page, "body", "n")
    assert texts(page, "#pair-name") == ["mine, pair 1 (1 of 3)"]
    press(page, "body", "p")
    assert texts(page, "#pair-name") == ["mine, pair 10 (3 of 3)"]
    click(page, ".strip button:nth-child(2)")
    assert texts(page, "#pair-name") == ["mine, pair 2 (2 of 3)"]
    click(page, ".pill:nth-child(2)")
    assert texts(page, "#panels figcaption") == ["infrared", "visible", "1auif†"]
    assert NASTY in " ".join(texts(page, "#pair option"))


def test_order_by_a_score(page: Any, results: Results) -> None:
    script = "const o = document.querySelector('#order'); o.value = 'EN/0'; o.dispatchEvent(new Event('change'))"
    page.execute_script(script)
    entries = results.data["mine"].pictures["auif"]
    assert texts(page, "#pair option") == sorted(entries, key=lambda name: entries[name].scores["EN"])


def test_zoom_by_keyboard(page: Any) -> None:
    left = "[...document.querySelectorAll('.view i')].map((box) => parseFloat(box.style.left))"
    before = eventually(page, left)
    press(page, ".view", RIGHT)
    after = eventually(page, left)
    assert len(set(after)) == 1
    assert after[0] > before[0]
    size = "document.querySelector('.lens').style.backgroundSize"
    before_size = eventually(page, size)
    press(page, "#zoom", RIGHT)
    assert eventually(page, size) != before_size


def test_swipe(page: Any) -> None:
    clip = "parseFloat(document.querySelector('#over').style.clipPath.match(/[0-9.]+(?=%)/)[0])"
    assert eventually(page, clip) == pytest.approx(50)
    press(page, "#swipe-at", LEFT)
    assert eventually(page, clip) == pytest.approx(50.5)
    before = eventually(page, "document.querySelector('#under').src")
    script = "const o = document.querySelector('#right'); o.value = 'vi'; o.dispatchEvent(new Event('change'))"
    page.execute_script(script)
    assert eventually(page, "document.querySelector('#under').src") != before


def test_differences(page: Any) -> None:
    click(page, "input[name=show][value=ir]")
    assert eventually(page, "document.querySelector('#panels').dataset.against === 'ir'")
    script = """
    const [image, done] = [document.querySelectorAll('.view img')[arguments[0]], arguments[1]];
    image.decode().then(() => {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
      const context = canvas.getContext('2d');
      context.drawImage(image, 0, 0);
      const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
      done(data.reduce((sum, value, i) => sum + (i % 4 < 3 ? value : 0), 0));
    });
    """
    assert page.execute_async_script(script, 0) == 0
    assert page.execute_async_script(script, 1) > 0


def test_emphasis_and_theme(page: Any) -> None:
    click(page, "#legend button:nth-child(2)")
    assert texts(page, "#curve-charts .chosen title") == ["dark§"] * 3
    click(page, "#legend button:nth-child(2)")
    assert page.execute_script("return document.querySelectorAll('.emphasis').length") == 0
    ground = "getComputedStyle(document.body).backgroundColor"
    before = eventually(page, ground)
    click(page, "#theme")
    assert eventually(page, ground) != before


def test_it_prints(page: Any) -> None:
    import base64

    document = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(document["data"]).startswith(b"%PDF")
