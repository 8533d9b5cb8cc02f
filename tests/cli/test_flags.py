"""What the library says of its parameters, in the words of the command that runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from imfuse.cli import _flags
from imfuse.cli.main import build_app, main
from imfuse.core.errors import ImfuseError, ModelError
from imfuse.fusing.folder import FolderReport

Said = Callable[..., str]


@pytest.fixture
def fuse(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """The line that ``imfuse fuse`` prints where the library raises an error of these words."""

    def run(message: str, *advice: str, words: tuple[str, ...] = ("ir.png", "vi.png")) -> str:
        def fail(*_: object, **__: object) -> None:
            raise ModelError(message, *advice)

        monkeypatch.setattr("imfuse.cli.fuse.given_sources", fail)
        assert main(["fuse", *words]) == 2
        return capsys.readouterr().err.removeprefix("imfuse: error: ").removesuffix("\n")

    return run


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """The same of ``imfuse benchmark``."""

    def run(message: str, *advice: str) -> str:
        def fail(*_: object) -> None:
            raise ModelError(message, *advice)

        monkeypatch.setattr("imfuse.benchmark.plan.make_plan", fail)
        assert main(["benchmark", "--data", "tno=data"]) == 2
        return capsys.readouterr().err.removeprefix("imfuse: error: ").removesuffix("\n")

    return run


@pytest.mark.parametrize(
    ("python", "command_line"),
    [
        ("tile=0: a number is expected", "--tile 0: a number is expected"),
        ("use tile=256", "use --tile 256"),
        ("use tile='off', or device='cpu'", "use --tile off, or --device cpu"),
        ('device="cuda:1" (device=...)', "--device cuda:1 (--device)"),
        ("resize=True brings both to one size", "--resize brings both to one size"),
        ("give its range='LOW,HIGH'.", "give its --range LOW,HIGH."),
        ("visible_range='0,1'", "--visible-range 0,1"),
        ("output='a b.png'", "--output 'a b.png'"),
        ("output=''", "--output ''"),
        ("infrared=... and visible=... are swapped", "INFRARED and VISIBLE are swapped"),
        ("max_pixels=200000000 reads it", "--max-megapixels 200 reads it"),
        ("max_pixels=1_500_000", "--max-megapixels 1.5"),
        ("debug=True shows where", "--debug shows where"),
        ("workers=-1", "--workers -1"),
        ("tile=nan: a number is expected", "--tile nan: a number is expected"),
        ("tile=-inf", "--tile -inf"),
        ("option={'rule': 'average', 'x': 'y z'}", "--option rule=average --option 'x=y z'"),
    ],
)
def test_parameters_become_flags(fuse: Said, python: str, command_line: str) -> None:
    assert fuse(python) == command_line
    assert fuse("refused", python) == f"refused; {command_line}"


@pytest.mark.parametrize(
    "text",
    [
        "runs/tile=3/x.png: no such file",
        "tile=3/x.png: no such file",
        "tile=3.png: no such file",
        "a.tile=3, a-tile=3, tile=3-a and tile=3a are files",
        r"C:\tile=3",
        "unknown key 'tile=3'",
        'unknown key "tile=3 device=4"',
        "`tile=3`",
        "tile=x is no Python",
        "tile = 3",
        "tile==3",
        "https://example.org/?tile=3&device=4",
        "rule='max': not one of sum, average",
        "resize=False and weights=None have no words here",
        "tile=[1, x]",
        "tile=nano",
        "--set optimizer.lr=0.001",
        "the authors' weights=",
    ],
)
def test_what_merely_contains_an_equals_sign_stays(fuse: Said, text: str) -> None:
    assert fuse(text) == text


def test_options_of_methods_stay(fuse: Said) -> None:
    """DenseFuse has an option called output, as the command has."""
    assert fuse("densefuse: output='x' is not one of clip, stretch") == (
        "densefuse: output='x' is not one of clip, stretch"
    )
    assert fuse("auif: output='x' is a folder") == "auif: --output x is a folder"
    assert fuse("output='x': no densefuse") == "--output x: no densefuse"


def test_words_of_the_user_stay(fuse: Said) -> None:
    words = ("tile=3", "a device='cpu' b")
    message = "tile=3 and a device='cpu' b differ in size"
    assert fuse(message, "use resize=True", words=words) == f"{message}; use --resize"
    assert fuse(message, words=("x", "y")) == "--tile 3 and a --device cpu b differ in size"


def test_advice_that_the_command_cannot_follow_is_left_out(fuse: Said, benchmark: Said) -> None:
    advice = ("use tile=256", "use device='cpu'", "use a smaller picture", "use memory=1, or device='cpu'")
    problem = "auif: not enough memory for 9x9 pixels"
    assert fuse(problem, *advice) == f"{problem}; use --tile 256; use --device cpu; use a smaller picture"
    assert benchmark(problem, *advice) == f"{problem}; use --device cpu; use a smaller picture"
    assert benchmark("x", "use report=False", "use report=True", "use overwrite=True") == (
        "x; use --no-report; use --report"
    )
    assert fuse("x", "use resize=False", "use weights=None") == "x", "the command line has no words for either"


def test_a_message_is_kept_whole(benchmark: Said) -> None:
    assert benchmark("tile=0: not allowed; memory=1 as well", "use tile=1") == "tile=0: not allowed; memory=1 as well"


def test_several_values(benchmark: Said) -> None:
    """An option that is given several times, and one that takes a list with commas."""
    assert benchmark("data={'tno': 'data/tno', 'my set': 'x'}") == "--data tno=data/tno --data 'my set=x'"
    assert benchmark("models=['auif', 'didfuse']") == "--models auif,didfuse"
    assert benchmark("fused=['a=b', 'c=d']") == "--fused a=b --fused c=d"


def test_a_command_in_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """``benchmark figure`` has --methods but none of the options of ``benchmark`` itself."""

    def fail(*_: object) -> None:
        raise ModelError("x", "use methods=['a', 'b']", "use device='cpu'", "give folder=...", "use debug=True")

    monkeypatch.setattr("imfuse.benchmark.results.read_results", fail)
    assert main(["benchmark", "figure", "out"]) == 2
    assert capsys.readouterr().err == "imfuse: error: x; use --methods a,b; give FOLDER; use --debug\n"


def test_arguments_that_share_a_metavar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise ModelError("x", "give infrared=...", "give fused=...", "give pictures=...")

    monkeypatch.setattr("imfuse.cli.score._sort_out", fail)
    assert main(["score", "a", "b", "c"]) == 2
    assert capsys.readouterr().err == ("imfuse: error: x; give INFRARED; give --fused; give [FUSED] INFRARED VISIBLE\n")


def test_failures_of_pairs_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Reports hold text: a message, then advice, with "; " between them."""
    failures = (("1", "1.png: too large; use max_pixels=200000000; use memory=5"), ("tile=3", "tile=3.png: empty"))
    report = FolderReport(failed=failures)
    monkeypatch.setattr("imfuse.fusing.fuser.Fuser.folder", lambda *_, **__: report)
    monkeypatch.chdir(tmp_path)
    for side in ("ir", "vi"):
        Path(side).mkdir()
    assert main(["fuse", "ir", "vi", "--model", "adf"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "imfuse: failed: 1: 1.png: too large; use --max-megapixels 200",
        "imfuse: failed: tile=3: tile=3.png: empty",
    ]


def test_without_a_command_python_stays() -> None:
    _flags.forget()
    assert _flags.in_flags(ImfuseError("tile=0", "use device='cpu'")) == "tile=0"


def test_every_command_is_remembered() -> None:
    root = typer.main.get_command(build_app())
    commands = list(root.commands.values())  # type: ignore[attr-defined]
    assert len(commands) >= 8
    for command in commands:
        parts = getattr(command, "commands", {}).values()
        assert isinstance(command, _flags.Group if parts else _flags.Command)
        assert all(isinstance(part, _flags.Command) for part in parts)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGTERM")
@pytest.mark.parametrize(
    "words", [["benchmark", "--data", "d=d"], ["benchmark", "reproduce", "auif-tno", "--data", "d"]]
)
def test_a_command_with_commands_of_its_own_ends_with_143_on_sigterm(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("imfuse.benchmark.runner.run_benchmark", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    assert main(words) == 143
    assert "imfuse: terminated" in capsys.readouterr().err
