"""Methods are found by their files, and their specifications are read without torch."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from imfuse.core import registry
from imfuse.core.errors import ImfuseError, ModelError, WeightsError
from imfuse.core.registry import get_spec, list_models
from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule, WeightsSpec
from imfuse.models import FusionModel, create_model, model_class

MODULES = [
    importlib.import_module(f"{package}.{module.name}")
    for package in registry.PACKAGES
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__)
]


def test_every_module_with_a_spec_is_found() -> None:
    with_spec = [module.SPEC.name for module in MODULES if hasattr(module, "SPEC")]
    assert {"auif", "didfuse", "gff"} <= set(with_spec)
    assert list_models() == sorted(with_spec)


def test_specification_read_from_source_is_that_of_the_module() -> None:
    for module in MODULES:
        if not hasattr(module, "SPEC"):
            continue
        name = module.__name__.rpartition(".")[2]
        assert get_spec(name) == module.SPEC
        assert module.SPEC.name == name
        assert not module.SPEC.training_free or module.__name__ == f"imfuse.classical.{name}"
        assert model_class(name).spec is module.SPEC
        assert issubclass(model_class(name), FusionModel)


def test_listing_imports_no_torch() -> None:
    code = """
import sys
from imfuse.core.registry import get_spec, list_models
names = list_models()
assert get_spec(names[0]).check_options({})
for heavy in ("torch", "numpy", "cv2", "safetensors", "imfuse.models"):
    assert heavy not in sys.modules, heavy
print(*names)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == list_models()


def test_pattern() -> None:
    assert list_models("aui?") == ["auif"]
    assert list_models("*fuse") == [name for name in list_models() if name.endswith("fuse")]
    assert list_models("nothing*") == []


@pytest.mark.parametrize(
    ("name", "hint"), [("auiff", "auif"), ("didfuze", "didfuse"), ("DIDFuse", "didfuse"), ("dudfuse", "didfuse")]
)
def test_unknown_name_with_a_near_one(name: str, hint: str) -> None:
    for function in (get_spec, model_class, create_model):
        with pytest.raises(ModelError, match=f"unknown model '{name}': did you mean '{hint}'\\?.*auif, .*didfuse"):
            function(name)


def test_unknown_name_without_a_near_one() -> None:
    with pytest.raises(ModelError, match=r"unknown model 'xyz': there are .*auif, .*didfuse"):
        get_spec("xyz")
    assert issubclass(ModelError, ImfuseError)


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of methods in a folder of its own, which the registry looks into instead."""
    folder = tmp_path / "zoo_of_the_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "PACKAGES", (folder.name,))
    registry._shipped.cache_clear()
    yield folder
    monkeypatch.undo()
    registry._shipped.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


METHOD = """
from imfuse.core.spec import ModelSpec, Paper

raise_on_import
SPEC = ModelSpec(name="{name}", title="T", paper=Paper("a", "b", 2020), summary="s")
"""


def test_a_new_file_is_a_method_and_is_not_executed(other_package: Path) -> None:
    (other_package / "fresh.py").write_text(METHOD.format(name="fresh"))
    (other_package / "_private.py").write_text(METHOD.format(name="_private"))
    assert list_models() == ["fresh"]
    assert get_spec("fresh") == ModelSpec("fresh", "T", Paper("a", "b", 2020), "s")
    # Building it does execute the file, as it must.
    with pytest.raises(NameError, match="raise_on_import"):
        model_class("fresh")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("LIMIT = 3\nSPEC_OF_OTHERS = 4\n", "odd.py: assigns no SPEC"),
        ("SPEC = 5\n", "odd.py: SPEC is a int; a ModelSpec is expected"),
        ("SPEC = nonsense(3)\n", "odd.py: SPEC uses more than imfuse.core.spec and its siblings"),
        (METHOD.format(name="fresh"), "odd.py: two methods are called 'fresh'"),
        ("SPEC = ModelSpec(name='odd')\n", "odd.py: SPEC is not complete .*'title', 'paper', and 'summary'"),
        ("SPEC = Option('x', (1, 2), 3, '')\n", "odd.py: SPEC is not complete .*default 3 is none of its choices"),
    ],
)
def test_a_file_that_is_no_method_says_so(other_package: Path, code: str, message: str) -> None:
    (other_package / "fresh.py").write_text(METHOD.format(name="fresh"))
    (other_package / "odd.py").write_text(code)
    with pytest.raises(ModelError, match=message):
        list_models()


def test_an_annotated_specification_and_one_that_builds_on_it(other_package: Path) -> None:
    (other_package / "fresh.py").write_text(METHOD.format(name="fresh").replace("SPEC =", "SPEC: ModelSpec ="))
    (other_package / "small.py").write_text(
        "SPEC = replace(fresh.SPEC, name='small', parameters=3, size=replace(fresh.SPEC.size, multiple=4))\n"
    )
    assert list_models() == ["fresh", "small"]
    assert get_spec("small") == replace(get_spec("fresh"), name="small", parameters=3, size=SizeRule(multiple=4))


def test_a_specification_without_a_network(other_package: Path) -> None:
    (other_package / "hollow.py").write_text(METHOD.format(name="hollow").replace("raise_on_import", ""))
    with pytest.raises(ModelError, match="hollow defines a SPEC but no network class"):
        create_model("hollow", weights=None)


# Options


def test_options_reach_the_network() -> None:
    assert create_model("auif", weights=None).rule == "sum"
    assert create_model("auif", weights=None, rule="l1").rule == "l1"


def test_unknown_options_and_values() -> None:
    with pytest.raises(ModelError, match="auif: unknown option 'rules'; did you mean rule\\? it has: rule"):
        create_model("auif", weights=None, rules="sum")
    with pytest.raises(ModelError, match="didfuse: rule='max' is not one of sum, average, l1"):
        create_model("didfuse", weights=None, rule="max")


def test_defaults_are_filled_in() -> None:
    spec = ModelSpec(
        "m", "M", Paper("a", "b", 2020), "s", options=(Option("x", ("1", "2"), "2", ""), Option("y", ("3",), "3", ""))
    )
    assert spec.check_options({}) == {"x": "2", "y": "3"}
    assert spec.check_options({"x": "1"}) == {"x": "1", "y": "3"}
    with pytest.raises(ModelError, match="it has: none"):
        ModelSpec("m", "M", Paper("a", "b", 2020), "s").check_options({"x": "1"})


def test_options_are_typed_and_may_come_as_text() -> None:
    spec = get_spec("refinefuse")
    texts = {"levels": "3", "sfim": "off", "psim": "true", "fim": "spatial"}
    typed = {"levels": 3, "sfim": False, "psim": True, "fim": "spatial"}
    assert spec.check_options(texts) == spec.check_options(typed) == spec.check_options({}) | typed
    # What YAML makes of "fim: off".
    assert spec.check_options({"fim": False})["fim"] == "off"
    assert create_model("refinefuse", None, levels=2, psim=False).options["levels"] == 2
    for wrong in ({"levels": 6}, {"levels": True}, {"sfim": "1"}, {"sfim": 1}):
        with pytest.raises(ModelError, match="is not one of"):
            spec.check_options(wrong)


def test_size_rule() -> None:
    rule = SizeRule(multiple=8, min_size=20)
    assert (rule.padded(1), rule.padded(24), rule.padded(25)) == (24, 24, 32)
    assert rule.padding(24, 33) == (0, 7)
    assert rule.accepts(24, 40)
    assert not rule.accepts(16, 40)


def test_lists_by_what_methods_need() -> None:
    everything = list_models()
    free = list_models(training_free=True)
    assert {"gff", "tif"} <= set(free)
    assert list_models(trainable=True) == [name for name in everything if name not in free]
    pretrained = list_models(pretrained=True)
    assert "auif" in pretrained
    assert "swinfusion" not in pretrained
    assert list_models("a*", training_free=True) == ["adf"]
    assert sorted(pretrained + list_models(pretrained=False)) == everything


def test_specifications_print_in_a_line() -> None:
    assert repr(get_spec("auif")) == "ModelSpec('auif': AUIF-Net, 2021)"


# Networks


@pytest.mark.parametrize("name", list_models())
def test_built_networks_are_ready_for_inference(name: str) -> None:
    model = create_model(name, weights=None)
    assert not any(module.training for module in model.modules())
    assert model.spec.dtypes[0] == "float32"
    wanted = set() if model.spec.training_free else {torch.float32}
    assert {value.dtype for value in model.state_dict().values() if value.is_floating_point()} == wanted


@pytest.mark.parametrize("name", list_models())
def test_published_layout_covers_the_state(name: str) -> None:
    model = create_model(name, weights=None)
    layout = model.published_layout()
    if layout:
        state = {entry for entry in model.state_dict() if not entry.endswith("num_batches_tracked")}
        assert set(layout.values()) == state
        assert len(set(layout.values())) == len(layout)


@pytest.mark.parametrize("name", [name for name in list_models() if not get_spec(name).training_free])
def test_shipped_entries_are_complete(name: str) -> None:
    spec = get_spec(name)
    for entry in spec.weights:
        assert len(entry.sha256) == 64
        assert entry.recipe
        assert entry.data
        assert entry.date
        assert create_model(name, entry.name).state_dict()
    with pytest.raises(WeightsError, match=f"{name}: no shipped weights 'nonsense'; there are: "):
        create_model(name, "nonsense")


def test_link_of_a_paper() -> None:
    assert Paper("a", "b", 2020, doi="10.1/x", arxiv="1").link == "https://doi.org/10.1/x"
    assert Paper("a", "b", 2020, arxiv="2005.05896").link == "https://arxiv.org/abs/2005.05896"
    assert Paper("a", "b", 2020).link == ""
    # The authors' page gives the number of another paper of theirs.
    assert get_spec("auif").paper.arxiv == "2005.05896"


def test_entries_are_found_by_name() -> None:
    entry = WeightsSpec("default", "m.safetensors", "0" * 64, "r", "d", "2026-01-01")
    spec = ModelSpec("m", "M", Paper("a", "b", 2020), "s", weights=(entry,))
    assert spec.find_weights("default") is entry
    with pytest.raises(ModelError, match="m: no shipped weights 'other'; there are: default"):
        spec.find_weights("other")


def test_constructors_refuse_what_is_no_choice() -> None:
    network = model_class("refinefuse")
    with pytest.raises(ModelError, match="refinefuse: levels='6' is not one of"):
        network(levels=6)
    with pytest.raises(ModelError, match="refinefuse: sfim='off': a value such as False is expected"):
        network(sfim="off")
    with pytest.raises(ModelError, match="tif: mode='published' is not one of clean, faithful"):
        model_class("tif")(mode="published")
