"""The contract of objectives, and the base that weighs and sums."""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass

import pytest
import torch

from imfuse import losses
from imfuse.losses import Loss, Objective, WeightedObjective
from imfuse.training.objective import build_objective
from imfuse.training.recipe import list_recipes, load_stages


@dataclass(frozen=True)
class Sum(WeightedObjective):
    first: float = 2.0
    second: float = 3.0
    other: float = 7.0


def test_terms_are_weighed_by_the_fields_of_their_names_or_by_what_is_given() -> None:
    parts = {name: torch.tensor(value) for name, value in (("first", 1.0), ("second", 10.0), ("third", 100.0))}
    loss = Sum(first=5.0).weighted(parts, third=-0.5)
    assert isinstance(loss, Loss)
    assert loss.total.item() == 5 + 30 - 50
    assert loss.parts == parts
    loss.parts["seen"] = torch.tensor(1.0)
    assert "seen" not in parts
    assert Sum().weighted(parts, second=0, third=0).total.item() == 2


def test_a_term_without_a_weight_is_an_error() -> None:
    with pytest.raises(AttributeError, match="third"):
        Sum().weighted({"third": torch.tensor(1.0)})


def test_gradients_are_the_weights() -> None:
    parts = {name: torch.tensor(1.0, requires_grad=True) for name in ("first", "second")}
    Sum().weighted(parts, second=-4.0).total.backward()
    assert [part.grad.item() for part in parts.values()] == [2.0, -4.0]


def test_an_objective_of_others_needs_no_base() -> None:
    class Own:
        colour = True

        def maps(self, infrared: object, visible: object) -> dict[str, torch.Tensor]:
            return {}

        def validate(self, model: object, batch: object) -> None:
            return None

        def __call__(self, model: object, batch: object) -> Loss:
            return Loss(torch.zeros(()), {})

    assert isinstance(Own(), Objective)
    assert not isinstance(object(), Objective)


@pytest.mark.parametrize("name", list_recipes())
def test_objectives_of_all_recipes_keep_the_contract(name: str) -> None:
    for recipe in load_stages(name).values():
        objective = build_objective(recipe)
        assert isinstance(objective, Objective)
        assert isinstance(objective, WeightedObjective)
        assert is_dataclass(objective)
        assert isinstance(objective.colour, bool)


def test_the_package_lists_its_methods_and_what_objectives_are_written_with() -> None:
    listed = dir(losses)
    assert {"Loss", "Objective", "WeightedObjective", "auif", "common", "refinefuse"} <= set(listed)
    assert not any(name.startswith("_") for name in listed)
    assert losses.auif.Objective.__module__ == "imfuse.losses.auif"
