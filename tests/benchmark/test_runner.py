from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imfuse import Fuser, score
from imfuse.benchmark import pair_worker
from imfuse.benchmark.plan import Plan, make_plan
from imfuse.benchmark.results import ModelUsed, Results, read_results
from imfuse.benchmark.runner import run_benchmark
from imfuse.cli.main import main
from imfuse.core.errors import ImfuseError, MetricError, PairError, WeightsError
from imfuse.core.lock import LOCK
from imfuse.core.registry import get_spec
from imfuse.core.spec import SHIPPED
from imfuse.fusing.folder import Progress
from imfuse.imaging import read_image, write_image

METRICS = "EN,SD,SCD"


def plan(folder: Path, **settings: Any) -> Plan:
    fused = {"dark": folder / "dark", "bright": folder / "bright"}
    return make_plan(
        {"data": {"mine": folder / "set"}, "models": "auif", "fused": fused, "metrics": METRICS, **settings}
    )


def content(results: Results) -> dict[str, Any]:
    return {**results.model_dump(), "date": ""}


def test_every_value_is_that_of_fuse_and_score(pairs: Path) -> None:
    results = run_benchmark(plan(pairs), pairs / "out", workers=1)
    data = results.data["mine"]
    assert list(data.pairs) == ["1", "2", "10"]
    assert results.complete
    for name in data.pairs:
        sources = pairs / "set" / "ir" / f"{name}.png", pairs / "set" / "vi" / f"{name}.png"
        picture = pairs / "out" / data.pictures["auif"][name].file
        assert np.array_equal(read_image(picture), Fuser("auif")(*sources))
        assert data.pictures["auif"][name].scores == score(picture, *sources, metrics=METRICS)
        external = pairs / "dark" / f"{name}.png"
        assert data.pictures["dark"][name].scores == score(external, *sources, metrics=METRICS)


def test_results_say_what_they_depend_on(pairs: Path) -> None:
    results = run_benchmark(plan(pairs), pairs / "out", workers=1)
    method = results.methods["auif"]
    assert isinstance(method, ModelUsed)
    assert method.weights is not None
    assert method.weights.sha256 == get_spec("auif").find_weights("default").sha256
    assert {"python", "torch", "numpy", "device"} <= results.environment.keys()
    assert len(results.data["mine"].pairs["10"].infrared_sha256) == 64
    results.write(pairs / "out" / "results.json")
    assert content(read_results(pairs / "out")) == content(results)
    assert results.scores("mine").summary("EN", "auif").count == 3


def test_processes_give_what_one_gives(pairs: Path) -> None:
    steps: list[Progress] = []
    many = run_benchmark(plan(pairs), pairs / "many", workers=2, progress=steps.append)
    assert content(many) == content(run_benchmark(plan(pairs), pairs / "one", workers=1))
    assert [step.done for step in steps] == [0, 1, 2, 3]


def test_nothing_is_done_again(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_benchmark(plan(pairs), pairs / "out", workers=1)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(pair_worker.Fuser, "prepare", refuse)
    monkeypatch.setattr(pair_worker.Scorer, "values", refuse)
    # Another name and another place do not change the content.
    (pairs / "dark").rename(pairs / "moved")
    again = run_benchmark(
        plan(pairs, fused={"bright": pairs / "bright", "renamed": pairs / "moved"}), pairs / "out", workers=1
    )
    one, other = first.data["mine"].pictures, again.data["mine"].pictures
    assert one["auif"] == other["auif"]
    assert [x.scores for x in one["dark"].values()] == [x.scores for x in other["renamed"].values()]


def test_another_input_convention_or_metric_is_computed(pairs: Path) -> None:
    before = run_benchmark(plan(pairs), pairs / "out", workers=1).data["mine"].pictures
    write_image(pairs / "set" / "ir" / "2.png", np.zeros((48, 64), np.uint8))
    after = run_benchmark(plan(pairs, metrics="EN,SD,SCD,SF"), pairs / "out", workers=1).data["mine"].pictures
    assert before["auif"]["1"].scores.items() < after["auif"]["1"].scores.items()
    assert before["auif"]["2"].scores["EN"] != after["auif"]["2"].scores["EN"]
    other = run_benchmark(plan(pairs, convention="vifb", metrics="SF"), pairs / "out", workers=1).data["mine"].pictures
    assert other["dark"]["1"].scores["SF"] != after["dark"]["1"].scores["SF"]


def test_damaged_leftovers_are_computed_again(pairs: Path) -> None:
    first = run_benchmark(plan(pairs), pairs / "out", workers=1)
    for number, file in enumerate(sorted((pairs / "out" / "cache").iterdir())):
        file.write_bytes((b"", b"[1]", b'{"x": {"EN": "y"}}')[number])
    picture = next((pairs / "out" / "fused").glob("*/*/*.png"))
    picture.write_bytes(picture.read_bytes()[:100])
    assert content(run_benchmark(plan(pairs), pairs / "out", workers=1)) == content(first)


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_text("[" * 200_000),
        lambda file: file.write_text(file.read_text().replace("1.", "NaN, 1.", 1)),
        lambda file: file.write_text(re.sub(r'("EN": )[\d.]+', r"\1Infinity", file.read_text())),
        lambda file: file.write_text(re.sub(r'("EN": )[\d.]+', r"\g<1>1e300", file.read_text())),
        lambda file: file.write_text(re.sub(r"[0-9a-f]{64}", "some picture", file.read_text())),
        lambda file: os.truncate(file, 40 << 30),
        _pipe,
    ],
)
def test_remembered_scores_of_others_are_checked(pairs: Path, damage: Callable[[Path], object]) -> None:
    first = run_benchmark(plan(pairs, models="none"), pairs / "out", workers=1)
    for file in (pairs / "out" / "cache").iterdir():
        damage(file)
    again = run_benchmark(plan(pairs, models="none"), pairs / "out", workers=1)
    assert content(again) == content(first)


def test_a_failed_pair_is_named_and_the_rest_goes_on(pairs: Path) -> None:
    (pairs / "dark" / "2.png").write_bytes(b"no picture")
    (pairs / "bright" / "10.png").unlink()
    (pairs / "set" / "ir" / "1.png").write_bytes(b"")
    results = run_benchmark(plan(pairs), pairs / "out", workers=1)
    data = results.data["mine"]
    assert not results.complete
    assert all("1.png" in data.failed[method]["1"] for method in ("auif", "dark", "bright"))
    assert "2.png" in data.failed["dark"]["2"]
    assert data.missing["bright"] == ["10"]
    assert {method: list(found) for method, found in data.pictures.items()} == {
        "auif": ["2", "10"],
        "dark": ["10"],
        "bright": ["2"],
    }


def test_undefined_values_stay_undefined(pairs: Path) -> None:
    for side in ("set/ir", "set/vi", "dark"):
        write_image(pairs / side / "2.png", np.full((48, 64), 7, np.uint8))
    for _ in range(2):
        results = run_benchmark(plan(pairs), pairs / "out", workers=1)
        assert results.data["mine"].pictures["dark"]["2"].scores["SCD"] is None
        assert math.isnan(results.scores("mine").rows[4].values["SCD"])
        results.write(pairs / "out" / "results.json")


_DEADLY = """
import os, signal, sys
from imfuse.benchmark import runner
from imfuse.benchmark.plan import make_plan

class Deadly(runner.PairWorker):
    def run(self, job):
        if job.pair.name == "2":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(job)

if __name__ == "__main__":
    runner.PairWorker = Deadly
    plan = make_plan({"data": {"mine": sys.argv[1]}, "models": "auif", "metrics": "EN"})
    from pathlib import Path
    runner.run_benchmark(plan, Path("out"), workers=2).write(Path("out/results.json"))
"""


def test_a_killed_process_costs_one_pair(pairs: Path) -> None:
    (pairs / "deadly.py").write_text(_DEADLY)
    subprocess.run([sys.executable, "deadly.py", "set"], cwd=pairs, check=True)
    data = read_results(pairs / "out").data["mine"]
    assert list(data.pictures["auif"]) == ["1", "10"]
    assert list(data.failed) == [""]
    assert "killed" in data.failed[""]["2"]


def test_a_kill_and_a_rerun_give_identical_results(pairs: Path) -> None:
    words = ["benchmark", "--data", f"mine={pairs / 'set'}", "--models", "auif", "--metrics", METRICS, "--no-report"]
    command = [sys.executable, "-m", "imfuse.cli.main", *words, "--workers", "2", "-o", str(pairs / "out")]
    random = np.random.default_rng(1)
    for name in range(20, 40):
        for side in ("ir", "vi"):
            write_image(pairs / "set" / side / f"{name}.png", random.integers(0, 256, (240, 320), np.uint8))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        wait_for(lambda: len(list((pairs / "out" / "cache").glob("*.json"))) > 2)
        process.kill()
    done = len(list((pairs / "out" / "cache").glob("*.json")))
    assert not (pairs / "out" / "results.json").exists()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert main([*words, "--workers", "1", "-o", str(pairs / "whole")]) == 0
    killed, whole = (json.loads((pairs / out / "results.json").read_text()) for out in ("out", "whole"))
    assert done < 23
    assert killed.pop("date")
    assert whole.pop("date")
    assert killed == whole


def test_a_second_benchmark_in_the_folder_is_refused(pairs: Path) -> None:
    def second(step: Progress) -> None:
        if step.done:
            with pytest.raises(ImfuseError, match="in use by a benchmark"):
                run_benchmark(plan(pairs), pairs / "out", workers=1)

    assert run_benchmark(plan(pairs), pairs / "out", workers=1, progress=second).complete
    assert not (pairs / "out" / LOCK).exists()


def test_processes_end_with_a_killed_parent(pairs: Path) -> None:
    code = (
        "import sys, time\n"
        "from imfuse.benchmark import runner, pair_worker\n"
        "from imfuse.scoring.files import Scorer\n"
        "from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        "    worker = pair_worker.PairWorker((), Scorer.of('EN', 'plain', 'full', 1000), Path('.'), {})\n"
        "    with runner._pool(worker, 1) as pool:\n"
        "        import os\n"
        "        print(pool.submit(os.getpid).result(), flush=True)\n"
        "        time.sleep(60)\n"
    )
    script = pairs / "script.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
    wait_for(lambda: not is_running(child))


def test_weights_files_stand_beside_shipped_ones(pairs: Path) -> None:
    copy = pairs / "theirs.safetensors"
    copy.write_bytes((SHIPPED / "auif.safetensors").read_bytes())
    results = run_benchmark(plan(pairs, models=f"auif,theirs=auif:{copy}", fused={}), pairs / "out", workers=1)
    pictures = results.data["mine"].pictures
    assert [x.scores for x in pictures["auif"].values()] == [x.scores for x in pictures["theirs"].values()]
    method = results.methods["theirs"]
    assert isinstance(method, ModelUsed)
    assert method.weights is not None
    assert method.weights.name == str(copy)


def test_external_results_of_several_sets(pairs: Path) -> None:
    for name in ("mine", "other"):
        for file in (pairs / "dark").iterdir():
            write_image(pairs / "both" / name / file.name, read_image(file))
    data = {"mine": pairs / "set", "other": pairs / "set", "third": pairs / "set"}
    results = run_benchmark(
        plan(pairs, data=data, models="none", fused={"both": pairs / "both", "one": {"other": pairs / "bright"}}),
        pairs / "out",
        workers=1,
    )
    assert results.methods_on("mine") == ["both"]
    assert results.methods_on("other") == ["both", "one"]
    assert results.methods_on("third") == []


def test_what_is_wrong_is_said_before_anything_is_done(pairs: Path) -> None:
    for settings, error in (
        ({"models": "auif:nowhere.safetensors"}, WeightsError),
        ({"metrics": "NO"}, MetricError),
        ({"data": {"mine": pairs / "dark"}}, PairError),
        ({"fused": {"x": pairs / "set"}}, PairError),
    ):
        with pytest.raises(error):
            run_benchmark(plan(pairs, **settings), pairs / "out", workers=1)
    assert not (pairs / "out").exists()


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "waited for five minutes"
        time.sleep(0.02)
