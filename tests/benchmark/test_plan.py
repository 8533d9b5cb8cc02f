from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imfuse import list_models
from imfuse.benchmark.plan import ModelEntry, make_plan, read_settings
from imfuse.core import registry
from imfuse.core.errors import BenchmarkError
from imfuse.core.registry import get_spec


def test_model_words() -> None:
    assert ModelEntry.model_validate("auif") == ModelEntry(model="auif")
    entry = ModelEntry.model_validate("theirs=auif:some/file.safetensors")
    assert (entry.label, entry.model, entry.weights) == ("theirs", "auif", "some/file.safetensors")


def test_all_models_are_those_that_need_no_weights_or_have_them() -> None:
    plan = make_plan({"data": {"x": "."}})
    assert plan.methods == [name for name in list_models() if get_spec(name).training_free or get_spec(name).weights]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": {}}, "no data set"),
        ({"models": "none"}, "nothing to compare"),
        ({"models": "auif,auif"}, "two methods"),
        ({"models": "auif", "fused": {"auif": "x"}}, "two methods"),
        ({"fused": {"../up": "x"}}, "name of a folder"),
        ({"data": {"a/b": "x"}}, "name of a folder"),
        ({"against": "nobody"}, "nobody"),
        ({"what": 1}, "what"),
        ({"models": ["=auif"]}, "MODEL"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        make_plan({"data": {"x": "."}, **settings})


def test_yaml_paths_are_from_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(
        "data:\n  tno: tno\n  two: {infrared: a, visible: b}\n"
        "models: [auif, 'theirs=auif:w.safetensors', {model: didfuse, name: calm, options: {rule: average}}]\n"
        "fused: {other: made/other}\nmetrics: [EN, SD]\n"
    )
    plan = make_plan(read_settings(file))
    assert plan.data["tno"] == tmp_path / "tno"
    assert plan.data["two"].visible == tmp_path / "b"  # type: ignore[union-attr]
    assert plan.methods == ["auif", "theirs", "calm", "other"]
    assert plan.models[1].weights == str(tmp_path / "w.safetensors")
    assert plan.models[2].options == {"rule": "average"}
    assert plan.fused["other"] == tmp_path / "made" / "other"


@pytest.mark.parametrize("text", ["data: [", "- a", "\x00", "!!python/object:os.system {}"])
def test_yaml_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(BenchmarkError, match=r"x\.yaml"):
        read_settings(tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("text", "model", "weights"),
    [
        ("nets/mine.py:Net", "nets/mine.py:Net", "default"),
        ("/a/mine.py:Net:theirs.safetensors", "/a/mine.py:Net", "theirs.safetensors"),
        ("ours=package.net:Net", "package.net:Net", "default"),
        ("package.net:Net:w.safetensors", "package.net:Net", "w.safetensors"),
        ("auif:default", "auif", "default"),
        ("a=auif:theirs.safetensors", "auif", "theirs.safetensors"),
    ],
)
def test_networks_of_others(text: str, model: str, weights: str) -> None:
    entry = ModelEntry.model_validate(text)
    assert (entry.model, entry.weights) == (model, weights)
    assert entry.name == (text.partition("=")[0] if "=" in text else "")


def test_a_network_of_others_has_the_name_of_its_method_and_may_lie_beside_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    example = Path(__file__).resolve().parents[2] / "examples" / "own_method" / "net.py"
    (tmp_path / "net.py").write_bytes(example.read_bytes().replace(b'"tinyfuse"', b'"tinyfuse_of_a_plan"'))
    (tmp_path / "plan.yaml").write_text("data: {a: a}\nmodels: ['net.py:TinyFuse', auif]\n")
    plan = make_plan(read_settings(tmp_path / "plan.yaml"))
    assert plan.methods == ["tinyfuse_of_a_plan", "auif"]
    assert plan.models[0].model == f"{tmp_path / 'net.py'}:TinyFuse"


@pytest.mark.parametrize(
    "settings",
    [
        {"data": {f"set{i}": "x" for i in range(2000)}},
        {"data": {"a" * 3000: "x"}},
        {"models": [f"m{i}=auif" for i in range(2000)]},
        {"models": "auif:" + "w" * 5000},
        {"models": [{"model": "auif", "options": {"rule": "x" * 10**6}}]},
        {"fused": {f"m{i}": "x" for i in range(2000)}},
        {"metrics": ["EN"] * 2000},
        {"convention": "c" * 10**6},
        {"family": "\x1b[31m" + "f" * 10**6},
        {"\x1b[31m" + "k" * 10**6: 1},
    ],
)
def test_content_is_bounded(settings: dict[str, Any]) -> None:
    """However a plan was written: one short line."""
    with pytest.raises(BenchmarkError) as caught:
        make_plan({"data": {"tno": "x"}, "models": "auif", **settings})
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()
