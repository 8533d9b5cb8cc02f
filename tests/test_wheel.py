"""The wheel holds weights and recipes, and works in an environment that knows nothing of this checkout."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from imfuse.benchmark.published import list_published
from imfuse.core.registry import get_spec, is_of_this_package, list_models
from imfuse.imaging import read_image, write_image
from imfuse.scenes import render_scene
from imfuse.training.recipe import list_recipes

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    # Built from a copy: setuptools leaves its build folder in the source tree.
    source = out / "source"
    files = ["pyproject.toml", "README.md", "LICENSE"]
    files += [str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*") if path.is_file()]
    for name in files:
        if "__pycache__" not in name and ".egg-info" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def _of_this_package() -> list[str]:
    """All methods but those that other tests of this process have registered."""
    return [name for name in list_models() if is_of_this_package(name)]


def test_wheel_holds_weights_recipes_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for model in _of_this_package():
        assert {f"imfuse/weights/{entry.file}" for entry in get_spec(model).weights} <= names
    assert {f"imfuse/training/recipes/{name}.yaml" for name in list_recipes()} <= names
    assert {f"imfuse/benchmark/published/{name}.csv" for name in (*list_published(), "refinefuse-cost")} <= names
    report = ROOT / "src" / "imfuse" / "benchmark" / "report"
    assert {f"imfuse/benchmark/report/{path.name}" for path in report.iterdir() if path.is_file()} <= names
    assert {"imfuse/py.typed", "imfuse/benchmark/published/sources.yaml"} <= names
    assert not [name for name in names if name.startswith(("tests/", "scripts/"))]


def test_installed_wheel_fuses_a_pair(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    install = [programs / "python", "-m", "pip", "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    # The dependencies are those of the running environment; a plain path does not bring its editable imfuse along.
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    scene = render_scene(48, 64)
    write_image(tmp_path / "ir.png", scene.infrared)
    write_image(tmp_path / "vi.png", scene.visible)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    where = subprocess.run(
        [programs / "python", "-c", "import imfuse; print(imfuse.__file__)"],
        check=True,
        capture_output=True,
        text=True,
        env=clean,
        cwd=tmp_path,
    )
    assert str(environment) in where.stdout, "the installed package, not the checkout"
    # The first by the program, the others in one process: most of the time goes into the import of torch.
    first, *others = (name for name in _of_this_package() if get_spec(name).weights)
    script = (
        "import sys; from imfuse.cli.main import main; sys.exit(any([main(words.split()) for words in sys.argv[1:]]))"
    )
    fuse = "fuse ir.png vi.png --model {0} -o {0}.png"
    for command in (
        [programs / "imfuse", *fuse.format(first).split()],
        [programs / "python", "-c", script, *map(fuse.format, others)],
    ):
        subprocess.run(command, check=True, capture_output=True, env=clean, cwd=tmp_path)
    for model in (first, *others):
        assert read_image(tmp_path / f"{model}.png").shape == scene.visible.shape
