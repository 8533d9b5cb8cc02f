from pathlib import Path

import pytest
import yaml

from imfuse.core.errors import ImfuseError, RecipeError
from imfuse.training.recipe import list_recipes, load_recipe, load_stages


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
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match=r"there are auif, .*or give a \.yaml file"):
        load_recipe("nonesuch")
    large = tmp_path / "large.yaml"
    large.write_text("#" * (1 << 21))
    with pytest.raises(RecipeError, match="too large"):
        load_recipe(large)
