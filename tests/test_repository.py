"""The files around the package agree with each other: workflows, hooks, templates, versions, the coverage floor."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import imfuse

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
INSTALLERS = {"pip", "uv"}
"""Modules that a workflow runs and the project does not depend on."""


def tracked(pattern: str = "*") -> list[Path]:
    """Files that git tracks; skips where there is no repository, as in an unpacked archive."""
    try:
        command = ["git", "ls-files", "-z", "--", pattern]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git repository")
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def package_name(requirement: str) -> str:
    return re.split(r"[\[<>=;~! ]", requirement, maxsplit=1)[0].lower()


def pinned() -> dict[str, str]:
    """Package -> version of ``constraints.txt``."""
    return {name.lower(): version for name, version, _ in locked("constraints.txt")}


def locked(file: str) -> list[tuple[str, str, str]]:
    """Package, version and the rest (marker, hashes) of each entry of a list of pinned packages."""
    text = (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, *re.split(r"\s+", rest, maxsplit=1)) for name, _, rest in (line.partition("==") for line in entries)]  # type: ignore[misc]


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items():
            yield f"{path.name}: {name}", job


def commands() -> list[str]:
    return [step["run"] for _, job in jobs() for step in job["steps"] if "run" in step]


def test_pinned_versions_satisfy_every_development_requirement() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *extras["dev"], *extras["docs"], *extras["train"], *extras["bench"]]
    wanted += [*extras["report"], *extras["testing"]]
    names = {package_name(requirement) for requirement in wanted} - {"imfuse", "tomli"}
    assert names <= set(pinned()), "each requirement is pinned in constraints.txt"


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-cuda.txt"])
def test_pinned_packages_have_hashes(file: str) -> None:
    for name, version, rest in locked(file):
        marker, *hashes = re.split(r"\s*--hash=sha256:", rest)
        assert hashes, name
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest.strip()) for digest in hashes), name
        assert re.fullmatch(r"[\w.!+]+", version), name
        assert re.fullmatch(r"(?:; [\w\s.'<>=!()]+)?", marker), f"{name}: neither an address nor an option"
        if file == "constraints-cuda.txt":
            assert "sys_platform == 'linux'" in marker


def test_what_is_installed_is_verified() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if "pip" in line.lower() and "install" in line]
    verified, *others = lines
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(verified.split())
    assert [line.split("install")[1].split() for line in others] == [
        ["--quiet", "--no-deps", "--no-build-isolation", "-e", "."]
    ], "what is not verified is the package itself, and brings nothing"
    assert text.count("$(VERIFIED)") == 3


@pytest.mark.parametrize("tool", ["ruff", "codespell", "check-jsonschema"])
def test_hooks_run_the_pinned_versions(tool: str) -> None:
    (revision,) = (hook["rev"] for hook in HOOKS if tool in hook["repo"].rpartition("/")[2])
    assert revision.removeprefix("v") == pinned()[tool]


def test_large_files_are_weights_alone() -> None:
    (hook,) = (hook for repo in HOOKS for hook in repo["hooks"] if hook["id"] == "check-added-large-files")
    limit = 1024 * int(hook["args"][0].removeprefix("--maxkb="))
    files = [path for path in tracked() if not re.search(hook["exclude"], path.relative_to(ROOT).as_posix())]
    assert not [path for path in files if path.stat().st_size > limit]


def test_workflows_run_commands_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    extras = PROJECT["project"]["optional-dependencies"]
    tools = {package_name(line) for name in ("dev", "testing") for line in extras[name]} | INSTALLERS
    assert commands()
    for command in commands():
        words = command.split()
        assert words[0] in ("make", "python"), command
        if words[0] == "make":
            assert set(words[1:]) <= targets, command
        else:
            assert words[1] == "-m", command
            assert words[2] in tools, command
        for extra in re.findall(r"\.\[([\w,]+)\]", command):
            assert set(extra.split(",")) <= set(extras), command


def test_workflows_cover_systems_versions_and_ages_of_dependencies() -> None:
    matrices = {name.split(": ")[1]: job["strategy"]["matrix"] for name, job in jobs() if "strategy" in job}
    systems = {system.partition("-")[0] for system in matrices["systems"]["system"]}
    assert systems == {"ubuntu", "macos", "windows"}
    supported = [line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if "Python :: 3." in line]
    assert matrices["systems"]["python"] == [supported[0], supported[-1]]
    assert PROJECT["project"]["requires-python"] == f">={supported[0]}"
    assert {job["resolution"] for job in matrices["dependencies"]["include"]} == {"lowest-direct", "highest"}
    for name, job in jobs():
        assert job["timeout-minutes"] <= 90, name


@pytest.mark.parametrize("path", [path for path in FORMS if path.name != "config.yml"], ids=lambda path: path.stem)
def test_issue_forms_ask_for_something(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    questions = [part for part in form["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in questions}) == len(questions)
    assert any(part.get("validations", {}).get("required") for part in questions)


def test_every_requirement_has_a_lower_bound() -> None:
    """The oldest versions that a workflow installs are those that the file states."""
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [line for extra in (PROJECT["project"]["dependencies"], *extras.values()) for line in extra]
    assert not [line for line in wanted if ">=" not in line and not line.startswith("imfuse[")]


def test_the_version_stands_in_one_place() -> None:
    version = PROJECT["project"]["version"]
    assert imfuse.__version__ == version
    # What programs wrote says which version made it; the changelog tells of all.
    records = re.compile(r"docs/(training/.*|results\w*\.md|speed\.md)|CHANGELOG\.md|CITATION\.cff|pyproject\.toml")
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in (".py", ".md", ".toml", ".cff", ".yml", ".yaml", ".txt") and not records.fullmatch(name):
            repeated = re.search(rf"imfuse\W+{re.escape(version)}", path.read_text(encoding="utf-8"))
            assert repeated is None, f"{name} repeats the version"


def test_citation_and_changelog_tell_of_this_version() -> None:
    version = PROJECT["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version
    heading = f"## [{version}] - {citation['date-released']}"
    assert heading in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert citation["license"] == PROJECT["project"]["license"]


def test_coverage_has_a_floor() -> None:
    assert PROJECT["tool"]["coverage"]["report"]["fail_under"] >= 95
    assert PROJECT["tool"]["coverage"]["run"]["source"] == ["imfuse"]
    assert re.search(r"^coverage: .*\n\t\S+pytest .*--cov$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
