"""The training loop of task networks: a budget of steps, the same views for every method, resumable bit by bit.

Plain PyTorch, and small: what decides a step is a function of seed and step alone, so that a run that was stopped
continues as if it had not been, and networks that are compared see the same crops whatever their pictures show.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from imfuse.core.errors import RecipeError
from imfuse.core.lock import output_lock
from imfuse.core.output import remove_leftovers, write_output
from imfuse.fusing.engine import find_device
from imfuse.tasks.checkpoint import CHECKPOINT, Best, State, read_checkpoint, write_checkpoint
from imfuse.tasks.examples import Batch, Example, Normalisation, collate
from imfuse.tasks.views import Views

LOG = "log.jsonl"


@dataclass(frozen=True)
class FitSettings:
    """How a task network is trained: AdamW, a linear warm-up, then a cosine to 0.

    Args:
        steps: budget of the whole training.
        batch: pictures in a step, at least 2, since norms need them.
        crop: height and width of what is seen of each.
        lr: highest learning rate.
        decay: of weights; norms and biases have none.
        warm_up: steps in which the rate rises from 0.
        clip: largest norm of the gradient.
        seed: of the first weights, the order, the crops and what is random in a network.
        mirror: mirror one picture of two.
        scale: least and largest factor by which pictures are resized.
        device: "auto", "cpu", "cuda", "cuda:1" ...
        threads: of the processor; 0 leaves them as they are.
        save_seconds: time between two checkpoints.

    Raises:
        RecipeError: a value cannot be.

    Example:
        >>> FitSettings(steps=300, crop=(120, 160)).rate(299) < 1e-6
        True
        >>> FitSettings(batch=1)
        Traceback (most recent call last):
            ...
        imfuse.core.errors.RecipeError: batch=1: at least 2 is expected
    """

    steps: int = 2000
    batch: int = 8
    crop: tuple[int, int] = (160, 208)
    lr: float = 1e-3
    decay: float = 0.01
    warm_up: int = 50
    clip: float = 5.0
    seed: int = 0
    mirror: bool = True
    scale: tuple[float, float] = (0.75, 1.25)
    device: str = field(default="auto", metadata={"decides": False})
    threads: int = field(default=0, metadata={"decides": False})
    save_seconds: float = field(default=60.0, metadata={"decides": False})

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch": 2, "warm_up": 0, "seed": 0, "threads": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise RecipeError(f"{name}={getattr(self, name)}: at least {bound} is expected")
        if min(self.crop) < 32:
            raise RecipeError(f"crop={self.crop}: at least 32 pixels are expected")
        for name in ("lr", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise RecipeError(f"{name}={getattr(self, name)}: a positive number is expected")
        if not 0 <= self.decay < math.inf:
            raise RecipeError(f"decay={self.decay}: zero or a positive number is expected")
        if not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise RecipeError(f"scale={self.scale}: two positive numbers are expected, the smaller one first")

    def rate(self, step: int) -> float:
        """Learning rate of a step.

        Args:
            step: counted from 0.

        Returns:
            The rate.
        """
        rising = min(1.0, (step + 1) / (self.warm_up + 1))
        return self.lr * rising * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def deciding(self) -> dict[str, object]:
        """The values that decide the result, by name: all but where and how fast it is computed."""
        values = asdict(self)
        return {one.name: values[one.name] for one in fields(self) if one.metadata.get("decides", True)}


@dataclass(frozen=True)
class Validation:
    """Chooses the weights that are kept: those of the best of several validations, instead of the last.

    Args:
        score: of a network in evaluation mode; higher is better.
        every: steps between two validations; one follows the last step.

    Example:
        ```python
        fit(network, loss, examples, normalisation, settings, validation=Validation(mean_precision, every=200))
        ```
    """

    score: Callable[[nn.Module], float]
    every: int


@dataclass(frozen=True)
class Fitted:
    """What became of a training; the network itself has its weights.

    Args:
        losses: of every step.
        step: after which the weights are those of the network.
        scores: step and score of each validation.

    Example:
        >>> Fitted((2.0, 1.0), 2).losses[-1]
        1.0
    """

    losses: tuple[float, ...]
    step: int
    scores: tuple[tuple[int, float], ...] = ()


def fit(
    network: nn.Module,
    loss: Callable[[Batch], Tensor],
    examples: Sequence[Example],
    normalisation: Normalisation,
    settings: FitSettings,
    *,
    folder: Path | None = None,
    resume: bool = False,
    identity: str = "",
    validation: Validation | None = None,
    shuffled: bool = True,
    progress: Callable[[int, int, float], None] | None = None,
) -> Fitted:
    """Train a network in place.

    Args:
        network: whose parameters are trained; left in evaluation mode.
        loss: of a batch, by this network.
        examples: to train on, with what the loss needs of them; decoded when they are asked for.
        normalisation: of the pictures.
        settings: how long, how fast and on what parts.
        folder: for checkpoints and ``log.jsonl``; nothing is written without one.
        resume: continue from the checkpoint in the folder, if there is one; on the processor to the same bits that a
            run without a stop ends with.
        identity: what else decides the run, such as the names of the examples; a checkpoint of another is refused.
        validation: keeps the best weights instead of the last.
        shuffled: each round of the examples has an order of its own; ``identity`` should tell where it has not.
        progress: called after each step with steps done, steps in all, and the loss.

    Returns:
        The losses, and which step the weights are of.

    Raises:
        RecipeError: the loss became NaN or infinite, there is nothing to train on, or the folder holds another run.
        WeightsError: the checkpoint cannot be used.
        ModelError: there is no such device.
        ImfuseError: another training works in the folder.

    Example:
        ```python
        network = build_segmenter("segformer_compact")
        fit(network, lambda batch: network.loss(batch.images, batch.labels), examples, normalisation, FitSettings())
        ```
    """
    if not examples:
        raise RecipeError("there are no pictures to train on")
    device = find_device(settings.device)
    network.to(device).train()
    optimiser = torch.optim.AdamW(_groups(network, settings.decay), lr=settings.lr)
    key = _key(settings, len(examples), normalisation, identity, validation)
    views = Views(
        len(examples), settings.batch, settings.crop, settings.scale, settings.mirror, settings.seed, shuffled
    )
    border = [255 * level for level in normalisation.mean]
    with _threads(settings.threads), _held(folder), _own_random_numbers(device):
        state = _begin(folder, resume, key, network, optimiser)
        saved = time.monotonic()
        while state.step < settings.steps:
            torch.manual_seed(_seed(settings.seed, state.step))
            batch = _moved(collate(views.take(state.step, examples, border), normalisation), device)
            state.losses.append(_step(network, optimiser, loss, batch, settings, state.step))
            state.step += 1
            if validation and (state.step % validation.every == 0 or state.step == settings.steps):
                _validate(network, validation, state)
            if folder and (time.monotonic() - saved >= settings.save_seconds or state.step == settings.steps):
                _save(folder, key, network, optimiser, state, settings)
                saved = time.monotonic()
            if progress:
                progress(state.step, settings.steps, state.losses[-1])
        if state.best is not None:
            network.load_state_dict(state.best.weights)
    network.eval()
    return Fitted(tuple(state.losses), state.best.step if state.best else state.step, tuple(state.scores))


def seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A network whose first weights depend on the seed alone, and not on what was drawn before.

    Args:
        build: makes the network.
        seed: of its weights.

    Returns:
        The network.

    Example:
        >>> one, other = (seeded(lambda: nn.Linear(2, 2), 7) for _ in range(2))
        >>> bool((one.weight == other.weight).all())
        True
    """
    with _own_random_numbers(torch.device("cpu")):
        torch.manual_seed(_seed(seed, -1))
        return build()


def _groups(network: nn.Module, decay: float) -> list[dict[str, object]]:
    """Kernels and matrices, which decay, and norms and biases, which do not."""
    parameters = [value for value in network.parameters() if value.requires_grad]
    large, small = ([p for p in parameters if (p.ndim > 1) is is_large] for is_large in (True, False))
    return [{"params": large, "weight_decay": decay}, {"params": small, "weight_decay": 0.0}]


def _step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss: Callable[[Batch], Tensor],
    batch: Batch,
    settings: FitSettings,
    step: int,
) -> float:
    for group in optimiser.param_groups:
        group["lr"] = settings.rate(step)
    optimiser.zero_grad(set_to_none=True)
    value = loss(batch)
    value.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
    found = value.item()
    if not (math.isfinite(found) and math.isfinite(norm.item())):
        which = f"the loss became {found}" if not math.isfinite(found) else "the gradient became NaN or infinite"
        raise RecipeError(f"step {step + 1}: {which}", f"use lr={settings.lr / 4:g}")
    optimiser.step()
    return found


def _validate(network: nn.Module, validation: Validation, state: State) -> None:
    network.eval()
    with torch.no_grad():
        score = validation.score(network)
    network.train()
    state.scores.append((state.step, score))
    if state.best is None or score > state.best.score:
        weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        state.best = Best(state.step, score, weights)


def _begin(folder: Path | None, resume: bool, key: str, network: nn.Module, optimiser: torch.optim.Optimizer) -> State:
    if folder is None or not (folder / CHECKPOINT).exists():
        return State()
    if not resume:
        raise RecipeError(
            f"{folder}: holds a run already", "use resume=True to continue it", "use output=... for another folder"
        )
    return read_checkpoint(folder / CHECKPOINT, key, network, optimiser)


def _save(
    folder: Path, key: str, network: nn.Module, optimiser: torch.optim.Optimizer, state: State, settings: FitSettings
) -> None:
    """The log first: a checkpoint has all that is in it, and a run that continues writes it again."""
    scores = dict(state.scores)
    lines = list[str]()
    for step, loss in enumerate(state.losses, start=1):
        row = {"step": step, "loss": _short(loss), "lr": _short(settings.rate(step - 1))}
        lines.append(json.dumps(row | ({"score": _short(scores[step])} if step in scores else {})) + "\n")
    write_output(folder / LOG, "".join(lines).encode(), RecipeError, through_links=False)
    write_checkpoint(folder / CHECKPOINT, key, network, optimiser, state)


def _short(value: float) -> float:
    """Six digits: more would be noise."""
    return float(f"{value:.6g}")


def _key(
    settings: FitSettings, count: int, normalisation: Normalisation, identity: str, validation: Validation | None
) -> str:
    """What decides a run, as a hash."""
    every = validation.every if validation else 0
    decisive = [settings.deciding(), count, asdict(normalisation), identity, every]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step + 1, 2)).generate_state(1, np.uint32)[0])


def _moved(batch: Batch, device: torch.device) -> Batch:
    labels = None if batch.labels is None else batch.labels.to(device)
    return replace(batch, images=batch.images.to(device), labels=labels)


@contextmanager
def _held(folder: Path | None) -> Iterator[None]:
    """The folder of a run, made and kept from others while the block runs."""
    if folder is None:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"{folder}: cannot write there ({error.strerror})") from None
    with output_lock(folder, "a training"):
        remove_leftovers(folder)
        yield


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    if number:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _own_random_numbers(device: torch.device) -> Iterator[None]:
    """What is drawn in the block does not change what the program draws after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
