"""What reaches a terminal: no name acts there or forges a line, and a terminal that is gone or full is one line."""

from __future__ import annotations

import ast
import io
import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

import imfuse
from imfuse.cli import _printing
from imfuse.cli._printing import console, say, tell, warn
from imfuse.cli.main import COMMANDS, main
from imfuse.cli.main import run as program
from imfuse.core.weights import save_weights
from imfuse.imaging import write_image
from imfuse.tasks.segment.file import save_segmenter
from imfuse.tasks.segment.networks import build_segmenter
from onnx_files import write_detector

NASTY = "a\x1b]0;owned\x07b\u202ec\u2028[bold]d[link=x]e :smile:\nimfuse: error: forged"
FORGED = "imfuse: error: forged"
posix = pytest.mark.skipif(os.name == "nt", reason="names and streams of POSIX")
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")

METHOD = """
import imfuse

PAPER = imfuse.Paper("A [bold]paper[/] \\x1b[2J", "unpublished\\nimfuse: error: forged", 2026)


@imfuse.register_method(imfuse.ModelSpec("mean_of_two", "T\\u202e [red]itle[/]", PAPER, "mean\\x07", parameters=0))
class Mean(imfuse.FusionModel):
    def forward(self, infrared, visible):
        return (infrared + visible) / 2
"""


@pytest.fixture
def nasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which has a nasty name, with pairs of nasty names in it, some of which fail."""
    place = tmp_path / NASTY
    random = np.random.default_rng(0)
    for folder, name in product(("", "bad/"), (NASTY, f"{NASTY}2")):
        write_image(place / f"{folder}ir" / f"{name}.png", random.integers(0, 256, (32, 32), np.uint8))
        write_image(place / f"{folder}vi" / f"{name}.png", random.integers(0, 256, (32, 32, 3), np.uint8))
    (place / "bad" / "ir" / f"{NASTY}2.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    (place / "bad" / "vi" / f"{NASTY}3.png").write_bytes(b"")
    (place / "method.py").write_text(METHOD)
    (place / f"{NASTY}.pth").write_bytes(b"rubbish")
    network = imfuse.create_model("seafusion", weights=None)
    state = network.state_dict()
    torch.save({theirs: state[ours] for theirs, ours in network.published_layout().items()}, place / f"{NASTY}2.pth")
    save_weights(
        place / f"{NASTY}.safetensors", imfuse.create_model("auif", weights=None).state_dict(), {"model": "auif"}
    )
    network = build_segmenter("segformer_compact")
    save_segmenter(
        place / f"{NASTY}3.safetensors", network, "segformer_compact", 9, 3, (0.5,) * 3, (0.5,) * 3, origin=""
    )
    (place / f"{NASTY}.csv").write_text("x_visible,y_visible,x_infrared,y_infrared\n2,3,4,5\n20,3,22,5\n")
    write_detector(place / f"{NASTY}.onnx", names=[f"person{NASTY}", "car", "bus"])
    (place / f"{NASTY}.yaml").write_text("model: auif\nepochz: 1\n")
    monkeypatch.chdir(place)
    return place


def words_of(place: Path) -> dict[str, list[list[str]]]:
    """Command lines of each command, such as succeed and such as fail."""
    name, ir, vi = NASTY, str(place / "ir"), str(place / "vi")
    pair, weights = [f"{ir}/{name}.png", f"{vi}/{name}.png"], ["--weights", str(place / f"{name}.safetensors")]
    quick = ["--model", "laplacian_pyramid"]
    small = ["--set", "epochs=1", "--set", "data.crop.size=16", "--set", "batch_size=2", "--device", "cpu"]
    benchmark = ["--data", f"set={place}", "--models", "laplacian_pyramid,gff", "--fused", f"others={vi}"]
    benchmark += ["-o", name, "--workers", "1", "--metrics", "EN"]
    return {
        "fuse": [
            [*pair, *weights, "-o", f"{name}.png"],
            [*pair, *weights, "-o", f"{name}.png"],
            [ir, vi, *quick, "-o", f"out {name}"],
            ["bad/ir", "bad/vi", *quick, "-o", f"out {name}"],
            [ir, name],
            [*pair, "-o", f"{vi}/{name}.png"],
            [*pair, *quick, "-o", f"{name}.gif"],
            [*pair, "--model", name],
            [*pair, "--weights", f"{name}.pth"],
            [*pair, "--range", name],
            [*pair, "--rig", f"{name}.yaml"],
            [*pair, "-O", name],
            [*pair, f"--{name}"],
        ],
        "video": [
            [ir, vi, *quick, "-o", f"{name}.mp4", "--rate", "2"],
            ["bad/ir", "bad/vi", *quick, "-o", f"2{name}.mp4"],
            [name, vi],
            [f"{ir}/%d{name}.png", vi],
            [ir, vi, *quick, "-o", f"{name}.gif"],
            [ir, vi, *quick, "--codec", name],
            ["-", vi, *quick, "--raw", name],
        ],
        "segment": [
            [*pair, "-o", name],
            ["bad/ir", "bad/vi", "-o", name],
            [ir, vi, "-o", name, "--labels", name],
            [ir, name],
            ["--fused", vi, "--segmenter", f"{name}.safetensors", "-o", name],
            ["--fused", vi, "--segmenter", f"{name}3.safetensors", "-o", f"more {name}", "--labels", name],
            ["--fused", vi, "--segmenter", f"{name}3.safetensors", "-o", f"more {name}", "--labels", vi],
            ["--fused", vi, "--segmenter", f"{name}3.safetensors", "--infrared", name],
            ["--fused", name, "--segmenter", f"{name}3.safetensors"],
        ],
        "detect": [
            [*pair, *quick, "-o", name, "--detector", f"{name}.onnx"],
            ["bad/ir", "bad/vi", *quick, "-o", f"2{name}", "--detector", f"{name}.onnx"],
            ["--fused", vi, "-o", f"3{name}", "--detector", f"{name}.onnx", "--labels", vi],
            [ir, vi, "-o", name, "--detector", f"{name}.pth"],
            [ir, vi, "-o", name, "--detector", f"{name}.onnx", "--layout", name],
        ],
        "train": [
            [f"{name}.yaml"],
            [name],
            ["auif", "--infrared", vi, "--visible", vi, "-o", name, *small],
            ["auif", "--infrared", ir, "--visible", vi, "-o", name, *small],
            ["auif", "--show", "--set", f"{name}=1"],
            ["detector", "--classes", name, "--fused", vi, "--labels", name],
            ["segmenter", "--fused", vi, "--labels", ir, "--infrared", name],
            ["segmenter", "--rendered", "1", "--size", name],
        ],
        "models": [[], [name], ["method.py:Mean"], [f"{name}.py:Mean"]],
        "convert": [
            [f"{name}2.pth", "-o", f"{name}2.safetensors"],
            [f"{name}.pth", "-o", f"{name}.safetensors"],
            [name, "-o", name],
            [f"{name}2.pth", "-o", f"{name}4.safetensors", "--segmenter", "auto"],
            [f"{name}2.pth", "-o", f"{name}4.safetensors", "--segmenter", name],
        ],
        "score": [
            [pair[1], *pair, "--metrics", "EN", "--csv", f"{name}.csv"],
            [vi, ir, vi, "--metrics", "EN"],
            [vi, "bad/ir", "bad/vi", "--metrics", "EN"],
            ["--fused", f"x {name}={vi}", f"y {name}={vi}", ir, vi, "--metrics", "EN,SF", "--json", f"{name}.json"],
            [name, ir, vi],
            [*pair, vi],
            [pair[1], *pair, "--metrics", name],
        ],
        "align": [
            [*pair, "-o", f"{name}.json", "--points", f"{name}.csv", "--check", f"check {name}"],
            [*pair, "-o", f"{name}.json", "--points", f"{name}2.csv"],
            [*pair, "-o", f"{name}.json", "--model", name],
            [*pair, "-o", f"{name}.json", "--board", name],
            [*pair, "-o", f"{name}.json"],
            ["bad/ir", "bad/vi", "-o", f"{name}.json"],
            [ir, name],
        ],
        "benchmark": [
            benchmark,
            ["report", name],
            ["figure", name],
            ["figure", name, "--methods", name],
            ["reproduce", name],
            ["efficiency", "--models", name],
            ["--data", name],
            ["--config", f"{name}.yaml", "-o", name],
        ],
        "info": [[pair[0]], [pair[0], "--celsius", f"{name}.tif"], [f"{name}.pth"], [name]],
        "demo": [["-o", name, "--model", "laplacian_pyramid"], ["--model", name]],
    }


@posix
@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_acts_on_the_terminal(nasty: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    codes = set()
    for words in words_of(nasty)[command]:
        codes.add(main([command, *words]))
        for text in capsys.readouterr():
            raw = {letter for letter in text if letter != "\n" and not letter.isprintable()}
            assert not raw, (words, text)
            assert not any(line.lstrip().startswith(FORGED) for line in text.split("\n")), (words, text)
            assert "\U0001f604" not in text, (words, text)
    assert codes >= {0, 2}, "some succeed and some fail"


def test_every_command_is_walked(tmp_path: Path) -> None:
    assert words_of(tmp_path).keys() == COMMANDS.keys()


def test_nothing_else_prints() -> None:
    """Neither ``print`` nor ``typer.echo`` nor a console beside the gate."""
    folder = Path(_printing.__file__).parent
    found = [
        f"{path.name}:{node.lineno}"
        for path in folder.glob("*.py")
        if path.name != "_printing.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (ast.unparse(node.func) in ("print", "Console") or ast.unparse(node.func).endswith((".echo", ".secho")))
    ]
    assert not found


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb \x1b[2J")
    tell("a\n  b\x07")
    warn("found", "x\ny")
    assert capsys.readouterr() == ("a\\nb \\x1b[2J\n", "a b\\x07\nimfuse: x\\ny: found\n")


def test_tables_show_brackets_and_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("[bold]a[/]\x1b[2J", title="[red]t[/]")
    table.add_row(Text("b\u202e\x07"))
    table.add_row(":smile: [link=x]y[/link]")
    console(width=80).print(table)
    out, _ = capsys.readouterr()
    assert all(words in out for words in ("[bold]a[/]\\x1b[2J", "[red]t[/]", "b\\u202e", ":smile: [link=x]y[/link]"))
    assert not {letter for letter in out if letter != "\n" and not letter.isprintable()}


def test_warnings_and_logs_of_others_are_escaped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def noisy() -> Callable[..., int]:
        warnings.warn("odd \x1b[2J", UserWarning, stacklevel=1)
        handler = logging.StreamHandler(sys.stderr)
        logger = logging.getLogger("somebody")
        logger.addHandler(handler)
        logger.warning("also %s", "odd \x07")
        logger.removeHandler(handler)
        return lambda *_, **__: 0

    monkeypatch.setattr("imfuse.cli.main.build_app", noisy)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["models"]) == 0
    _, err = capsys.readouterr()
    assert "odd \\x1b[2J" in err
    assert "also odd \\x07" in err
    assert "\x1b" not in err


def run(words: list[str], redirection: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imfuse.cli.main", *words]
    return subprocess.run(["sh", "-c", f'"$@" {redirection}', "sh", *command], capture_output=True, text=True)


LIGHT = [["models"], ["models", "auif"], ["--help"], ["--version"], ["train", "auif", "--show"], ["fuse", "--help"]]


@posix
@full
@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_a_standard_output_that_is_closed_or_full_is_one_line(words: list[str]) -> None:
    for redirection, reason in ((">&-", "closed"), (">/dev/full", "the disk is full")):
        done = run(words, redirection)
        assert done.returncode in (1, 2)
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("imfuse: error: ")
        assert reason in done.stderr


@posix
@full
@pytest.mark.parametrize("redirection", [">&- 2>&-", ">/dev/full 2>&-", ">/dev/full 2>/dev/full", "<&- >&- 2>&-"])
def test_nobody_to_tell_is_an_exit_code(redirection: str) -> None:
    done = run(["models"], redirection)
    assert done.returncode in (1, 2)
    assert done.stdout + done.stderr == ""
    done = run(["models", "nothing*"], redirection)
    assert done.returncode == 2
    assert done.stdout + done.stderr == ""


@posix
def test_a_standard_error_output_that_is_closed_changes_nothing() -> None:
    done = run(["models"], "2>&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert "auif" in done.stdout


@posix
@full
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_that_the_standard_output_is_full(
    nasty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """In this process: each command prints at its end, after its files are written."""
    words = words_of(nasty)[command][{"train": 2}.get(command, 0)]
    words = ["auif", "--show"] if command == "train" else words
    words = ["reproduce"] if command == "benchmark" else words
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.FileIO("/dev/full", "w"), encoding="utf-8"))
    assert main([command, *words]) == 2
    _, err = capsys.readouterr()
    [line] = [line for line in err.splitlines() if "imfuse: error: " in line]
    assert line == "imfuse: error: standard output: the disk is full; free some space or choose another folder"


@posix
def test_a_file_never_gets_the_number_of_a_closed_stream(nasty: Path) -> None:
    """What a library prints there would go into the result."""
    pair = [f"ir/{NASTY}.png", f"vi/{NASTY}.png"]
    done = run(["fuse", *pair, "--model", "laplacian_pyramid", "-o", "out.png"], "<&- >&- 2>&-")
    assert done.returncode == 1
    assert imfuse.imaging.read_image("out.png").shape == (32, 32, 3)


def test_a_disk_that_refuses_is_no_defect(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise OSError(28, "No space left on device", "runs/events\n.log")

    monkeypatch.setattr("imfuse.cli.main.build_app", broken)
    assert main(["models"]) == 2
    _, err = capsys.readouterr()
    assert err.startswith("imfuse: error: runs/events\\n.log: the disk is full")
    assert err.count("\n") == 1
    with pytest.raises(OSError, match="No space"):
        main(["models", "--debug"])


def test_an_interrupt_anywhere_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    for place in ("build_app", "flush"):
        with monkeypatch.context() as patch:
            patch.setattr(f"imfuse.cli.main.{place}", interrupted)
            assert main(["--version"]) == 130
        assert capsys.readouterr().err.startswith("imfuse: interrupted")


@posix
def test_a_defect_shows_its_traceback_escaped(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom imfuse.cli import main\n"
        "def broken(): raise KeyError('x\\x1b[2J' + chr(0x202e))\n"
        "class Odd(Exception): pass\n"
        "def odd(): raise Odd('x\\x1b[2J')\n"
        "main.build_app = odd\nsys.argv[1:] = ['models']\nmain.run()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.splitlines()[-1].endswith("Odd: x\\x1b[2J")


def test_a_second_interrupt_ends_the_program_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> int:
        raise KeyboardInterrupt

    ignored: list[object] = []
    monkeypatch.setattr("imfuse.cli.main.main", twice)
    monkeypatch.setattr("signal.signal", lambda *words: ignored.append(words))
    with pytest.raises(SystemExit) as ended:
        program()
    assert ended.value.code == 130
    assert ignored == [(signal.SIGINT, signal.SIG_IGN)], "a third does not disturb the end"
