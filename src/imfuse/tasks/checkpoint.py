"""Checkpoints of task trainings: written whole or not at all, and looked at closely before they are used."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imfuse.core.checkpoint import load_torch_file
from imfuse.core.errors import RecipeError, WeightsError
from imfuse.core.files import open_input
from imfuse.core.output import write_output
from imfuse.core.weights import check_finite, check_layout

CHECKPOINT = "last.ckpt"


@dataclass(frozen=True)
class Best:
    """Weights of the best validation so far."""

    step: int
    score: float
    weights: dict[str, Tensor]


@dataclass
class State:
    """How far a training is: steps that are done, their losses, validations, and the best of these."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    scores: list[tuple[int, float]] = field(default_factory=list)
    best: Best | None = None


def write_checkpoint(path: Path, key: str, network: nn.Module, optimiser: torch.optim.Optimizer, state: State) -> None:
    """Write all that a training needs to continue; ``key`` says which one it is."""
    content = {
        "key": key,
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict()["state"],
        "losses": torch.tensor(state.losses, dtype=torch.float64),
        "scores": torch.tensor(state.scores, dtype=torch.float64).view(-1, 2),
        "best": None if state.best is None else vars(state.best),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_output(path, buffer.getvalue(), RecipeError, through_links=False)


def read_checkpoint(path: Path, key: str, network: nn.Module, optimiser: torch.optim.Optimizer) -> State:
    """Put a checkpoint into network and optimiser, after all of it was checked.

    Raises:
        RecipeError: it is of another run.
        WeightsError: it cannot be read, is damaged, or holds something else.
    """
    content = load_torch_file(path)
    _check_bits(path)
    try:
        if content["key"] != key:
            raise RecipeError(
                f"{path}: of a run with other settings or other pictures", "use output=... for another folder"
            )
        state = _state(path, content, network)
        weights, moments = dict(content["network"]), dict(content["optimiser"])
        _check_weights(path, weights, network)
        _check_moments(path, moments, optimiser)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _unusable(path, f"{type(error).__name__} {error}") from None
    network.load_state_dict(weights)
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    return state


def _check_bits(path: Path) -> None:
    """PyTorch does not look whether bits of a file have changed."""
    with open_input(path, WeightsError, "a checkpoint") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                damaged = archive.testzip()
        except zipfile.BadZipFile:
            damaged = "end"
    if damaged:
        raise _unusable(path, f"its part {damaged} is damaged")


def _state(path: Path, content: Mapping[str, Any], network: nn.Module) -> State:
    losses = content["losses"].double().view(-1).tolist()
    scores = [(int(step), float(score)) for step, score in content["scores"].double().view(-1, 2).tolist()]
    best = content["best"]
    if best is not None:
        best = Best(int(best["step"]), float(best["score"]), dict(best["weights"]))
        _check_weights(path, best.weights, network)
    return State(len(losses), losses, scores, best)


def _check_weights(path: Path, weights: Mapping[str, Tensor], network: nn.Module) -> None:
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise _unusable(path, "it has no weights")
    check_layout(path, weights, network.state_dict())
    check_finite(path, weights)


def _check_moments(path: Path, moments: Mapping[Any, Any], optimiser: torch.optim.Optimizer) -> None:
    """Of each parameter, by its number: how often it was changed, and two means as large as itself."""
    parameters = [value for group in optimiser.param_groups for value in group["params"]]
    for number in moments:
        value = parameters[number]
        wanted = {"step": torch.zeros(()), "exp_avg": value, "exp_avg_sq": value}
        check_layout(path, moments[number], wanted)
        check_finite(path, moments[number])


def _unusable(path: Path, reason: str) -> WeightsError:
    return WeightsError(f"{path}: not a checkpoint to resume from ({reason:.200})")
