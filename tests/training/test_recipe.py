import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml

from imfuse.core.errors import ImfuseError, RecipeError
from imfuse.core.registry import get_spec, list_models
from imfuse.training import objective, sources
from imfuse.training.objective import build_objective
from imfuse.training.recipe import Recipe, list_recipes, load_recipe, load_stages


@pytest.mark.parametrize("name", list_recipes())
def test_shipped_recipe_round_trips_with_every_default(name: str, tmp_path: Path) -> None:
    for recipe in load_stages(name).values():
        path = tmp_path / "resolved.yaml"
        path.write_text(recipe.to_yaml())
        assert load_recipe(path) == recipe
        assert "checkpoint_minutes" in yaml.safe_load(recipe.to_yaml())


def test_recipes_are_the_papers_protocols() -> None:
    auif, didfuse = load_recipe("auif"), load_recipe("didfuse")
    assert (auif.epochs, auif.batch_size, auif.optimizer.lr, auif.optimizer.groups) == (80, 32, 1e-2, {"detail": 1e-3})
    assert (auif.data.kind, auif.data.crop.kind, auif.schedule.milestones) == ("images", "random_resized", (41,))
    assert (didfuse.epochs, didfuse.batch_size, didfuse.optimizer.lr) == (120, 24, 1e-3)
    assert (didfuse.data.crop.kind, didfuse.data.shuffle, didfuse.schedule.milestones) == ("center", False, (40, 80))


def single_recipes() -> list[str]:
    return [name for name in list_recipes() if list(load_stages(name)) == [name]]


def of_a_paper(name: str) -> bool:
    """Whether a recipe follows a paper's protocol: it bears the name of its method, or is a stage of such a recipe."""
    method = re.sub(r"(_semantic)?(_stage\d)?$", "", name)
    return method in list_models() and not method.endswith("_compact")


OURS = [name for name in single_recipes() if not of_a_paper(name)]


def test_recipes_of_ours_are_told_from_the_papers() -> None:
    assert {"psfusion_compact", "refinefuse_mixed", "sdnet_roadscene", "transfusion_compact_stage2"} <= set(OURS)
    assert not {"auif", "cddfuse_stage1", "psfusion", "seafusion_semantic_stage2", "transfusion_stage2"} & set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_recipes_of_ours_export_the_best_validation(name: str) -> None:
    recipe = load_recipe(name)
    if recipe.objective == "Reconstruction":
        assert not recipe.best, "an auto-encoder fuses nothing yet that could be scored"
        return
    assert recipe.best in recipe.scores
    assert recipe.epochs % recipe.validate_every == 0, "the last state is validated too"


def test_changes_reach_nested_keys_and_create_sections() -> None:
    recipe = load_recipe("didfuse", ["optimizer.lr=0.5", "data.crop.flips=true", "options.rule=l1"])
    assert recipe.optimizer.lr == 0.5
    assert recipe.data.crop.flips
    assert recipe.options == {"rule": "l1"}


def test_options_may_be_words_that_yaml_reads_otherwise() -> None:
    recipe = load_recipe("refinefuse", ["options.levels=3", "options.sfim=off", "options.fim=on"])
    assert recipe.options == {"levels": 3, "sfim": False, "fim": "on"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epochs=0", r"recipe auif: epochs: Input should be greater than or equal to 1 \(found 0\)"),
        ("epoch=3", "unknown key 'epoch'"),
        ("data.crop.sice=3", "unknown key 'data.crop.sice'"),
        ("optimizer.lr=fast", r"optimizer.lr: Input should be a valid number.*found 'fast'"),
        ("optimizer.lr=.inf", r"optimizer.lr: Input should be a finite number \(found inf\)"),
        ("loss.ssim=.nan", r"loss.ssim: Input should be a finite number \(found nan\)"),
        ("optimizer.name=lion", "optimizer.name: Input should be 'adam', 'adamw', 'sgd' or 'rmsprop'"),
        ("model=auiff", "did you mean 'auif'"),
        ("options.rule=max", "rule='max' is not one of sum, average, l1"),
        ("epochs", "expected KEY=VALUE"),
        ("data.rendered=3", "of pairs, but data.kind is images"),
        ("data.augment.tone=1.5", "data.augment.tone: Input should be less than or equal to 1"),
        ("epochs.more=1", "'epochs' is a value, not a section"),
        ("epochs=[1", "not a YAML value"),
    ],
)
def test_mistakes_are_named(change: str, message: str) -> None:
    with pytest.raises(ImfuseError, match=message) as error:
        load_recipe("auif", [change])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[1, 2]", "model: [", "a: &a [*a]", "!!python/object/apply:os.system [true]"])
def test_odd_files_are_errors_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"odd\.yaml") as error:
        load_recipe(path)
    assert "\n" not in str(error.value)


def test_missing_too_large_and_unknown_recipes(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.yaml: no such file"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match=r"there are auif, .*or give a \.yaml file"):
        load_recipe("nonesuch")
    large = tmp_path / "large.yaml"
    large.write_text("#" * (1 << 21))
    with pytest.raises(RecipeError, match=r"the file has 2097152 bytes, at most 262144 are read$"):
        load_recipe(large)


# Recipes and objectives of others

LOSS = """
from dataclasses import dataclass

from imfuse.losses import Loss, WeightedObjective


@dataclass(frozen=True)
class Mine(WeightedObjective):
    distance: float = 1.0

    def __call__(self, model, batch):
        fused = model(batch["infrared"], batch["visible"])
        return self.weighted({"distance": (fused - batch["infrared"]).square().mean()})


@dataclass(frozen=True)
class Bare:
    distance: float = 1.0


class NoDataclass(WeightedObjective):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loss.py").write_text(LOSS)
    (tmp_path / "mine.yaml").write_text("model: auif\nobjective: loss.py:Mine\nloss: {distance: 3}\nepochs: 2\n")
    return tmp_path


def entry_points(monkeypatch: pytest.MonkeyPatch, group: str, **values: str) -> None:
    points = {name: EntryPoint(name, value, group) for name, value in values.items()}
    for module in (sources, objective):
        monkeypatch.setattr(module, "plugins", lambda asked: points if asked == group else {})


def test_a_file_beside_a_recipe_is_found_from_any_folder(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    recipe = load_recipe(folder / "mine.yaml")
    assert recipe.objective == f"{folder / 'loss.py'}:Mine"
    built = build_objective(recipe)
    assert type(built).__name__ == "Mine"
    assert built.distance == 3
    # What a run writes down is read from the folder of the run.
    Path("recipe.yaml").write_text(recipe.to_yaml())
    assert load_recipe("recipe.yaml") == recipe


def test_a_change_names_files_from_the_folder_of_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    recipe = load_recipe("auif", ["objective=loss.py:Mine", "loss={}"])
    assert recipe.objective == f"{folder / 'loss.py'}:Mine"
    assert type(build_objective(recipe)).__name__ == "Mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("loss.py:Absent", "loss.py: has no 'Absent'"),
        ("absent.py:Mine", "absent.py: no such file"),
        ("loss.py:LOSS", "has no 'LOSS'"),
        ("loss.py:NoDataclass", "has no '.*loss.py:NoDataclass'"),
        ("loss.py:Bare", "Bare is none; derive it from imfuse.losses.WeightedObjective"),
        ("no_such_package.module:Mine", "no_such_package.module: cannot be imported"),
    ],
)
def test_what_is_no_objective_is_said(folder: Path, name: str, message: str) -> None:
    (folder / "mine.yaml").write_text(f"model: auif\nobjective: {name}\n")
    with pytest.raises(ImfuseError, match=message):
        build_objective(load_recipe(folder / "mine.yaml"))


def test_a_missing_dependency_is_told_from_a_missing_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="model: 'gff' has no objective, it cannot be trained"):
        build_objective(load_recipe("auif", ["model=gff", "loss={}", "optimizer.groups={}"]))
    monkeypatch.delitem(sys.modules, "imfuse.losses.auif", raising=False)
    # None in its place makes Python say that the module is not installed.
    monkeypatch.setitem(sys.modules, "imfuse.losses.common", None)
    with pytest.raises(ImfuseError, match=r"imfuse\.losses\.auif needs imfuse\.losses\.common, which is not installed"):
        build_objective(load_recipe("auif"))


def package(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    """An importable package of others; its name is used once, since Python remembers modules."""
    home = folder / "site" / name
    home.mkdir(parents=True)
    (home / "__init__.py").write_text(LOSS.replace("class Mine", "class Objective"))
    (home / "tiny.yaml").write_text("model: auif\nobjective: other.py:Mine\nepochs: 5\n")
    (home / "other.py").write_text(LOSS)
    monkeypatch.syspath_prepend(home.parent)
    return home


@pytest.mark.parametrize("file", ["", ":tiny.yaml"])
def test_recipes_of_packages_are_listed_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, request: pytest.FixtureRequest
) -> None:
    name = f"brings_recipe_{len(file)}"
    home = package(tmp_path, monkeypatch, name)
    entry_points(monkeypatch, "imfuse.recipes", tiny=f"{name}{file}")
    assert "tiny" in list_recipes()
    assert "auif" in list_recipes()
    recipe = load_recipe("tiny", ["seed=3"])
    assert (recipe.epochs, recipe.seed, recipe.objective) == (5, 3, f"{home / 'other.py'}:Mine")
    assert list(load_stages("tiny")) == ["tiny"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("auif", "imfuse.losses", "two recipes are called 'auif': one of this library, one of imfuse.losses"),
        ("tiny", "no_such_package", "recipe tiny: no_such_package is not a package"),
        ("tiny", "imfuse.losses", r"tiny\.yaml: no such file"),
    ],
)
def test_wrong_entry_points_of_recipes_are_said(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    entry_points(monkeypatch, "imfuse.recipes", **{name: value})
    with pytest.raises(RecipeError, match=message):
        load_recipe(name)


def test_objectives_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, monkeypatch, "brings_objective")
    recipe = load_recipe("auif", ["model=gff", "loss={distance: 4}", "optimizer.groups={}"])
    entry_points(monkeypatch, "imfuse.objectives", gff="brings_objective")
    assert build_objective(recipe).distance == 4
    with pytest.raises(ImfuseError, match="brings_objective: has no 'Stage1'"):
        build_objective(recipe.model_copy(update={"objective": "Stage1"}))
    # The name of a class stands for it, whatever that is.
    entry_points(monkeypatch, "imfuse.objectives", gff="brings_objective.other:Mine")
    for name in ("Objective", "Mine"):
        assert type(build_objective(recipe.model_copy(update={"objective": name}))).__name__ == "Mine"
    with pytest.raises(RecipeError, match="gff has no 'Stage1'"):
        build_objective(recipe.model_copy(update={"objective": "Stage1"}))
    entry_points(monkeypatch, "imfuse.objectives", auif="brings_objective")
    with pytest.raises(RecipeError, match="auif has two objectives, one of this library, one of brings_objective"):
        build_objective(load_recipe("auif"))


def test_stages_may_be_files_beside_their_list(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "both.yaml").write_text("stages: [mine.yaml, didfuse]")
    stages = load_stages(folder / "both.yaml", ["mine.epochs=7", "seed=2"])
    assert [(name, recipe.epochs, recipe.seed) for name, recipe in stages.items()] == [
        ("mine", 7, 2),
        ("didfuse", 120, 2),
    ]
    for text in ("stages: []", "stages: [auif, auif]", "stages: [auif, 3]", "stages: [mine.yaml, sub/mine.yaml]"):
        (folder / "odd.yaml").write_text(text)
        with pytest.raises(RecipeError, match="a list of names of recipes is expected"):
            load_stages(folder / "odd.yaml")


# Sizes of crops


@pytest.mark.parametrize("name", list_models(training_free=False))
def test_a_crop_that_the_network_does_not_take_is_refused(name: str) -> None:
    rule = get_spec(name).size
    for side in (16, 17, 40, 63, 100, 129):
        if rule.accepts(side, side):
            assert Recipe.model_validate({"model": name, "data": {"crop": {"size": side}}}).data.crop.size == side
            continue
        with pytest.raises(ValueError, match=rf"data\.crop\.size: {side} does not suit {name}") as error:
            Recipe.model_validate({"model": name, "data": {"crop": {"size": side}}})
        good = [int(word) for word in re.findall(r"take (\d+)(?: or (\d+))?", str(error.value))[0] if word]
        assert good[-1] == rule.padded(side)
        assert all(rule.accepts(number, number) for number in good)
        assert len(good) == 2 or side < rule.multiple * 2 or side - rule.multiple < rule.min_size


def test_next_good_sizes_are_named() -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe("refinefuse", ["data.crop.size=100"])
    assert str(error.value) == (
        "recipe refinefuse: data.crop.size: 100 does not suit refinefuse, whose sides are multiples of 8, at least 32;"
        " take 96 or 104"
    )
    with pytest.raises(RecipeError, match=r"at least 64; take 64$"):
        load_recipe("psfusion_compact", ["data.crop.size=40"])
