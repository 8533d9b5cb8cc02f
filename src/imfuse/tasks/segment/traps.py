"""What some published trainings of segmenters do beside their papers, by name: off unless asked for."""

from __future__ import annotations

from collections.abc import Collection

from imfuse.core.errors import RecipeError

STATISTICS, UNKNOWN_IN_MEAN, ORDER = "test-statistics", "unknown-in-mean", "fixed-order"
TRAPS = {
    STATISTICS: "pictures are normalised by mean and deviation of the test pictures as well",
    UNKNOWN_IN_MEAN: "pixels without a label count in the mean of the loss, which they make smaller",
    ORDER: "every round sees the pictures in the same order",
}
"""Each with what it does."""


def checked_traps(traps: Collection[str]) -> tuple[str, ...]:
    """The traps of these names, in the order of ``TRAPS``.

    Args:
        traps: names.

    Returns:
        Each once.

    Raises:
        RecipeError: there is no such trap.

    Example:
        >>> checked_traps(["fixed-order", "test-statistics"])
        ('test-statistics', 'fixed-order')
    """
    for trap in traps:
        if trap not in TRAPS:
            raise RecipeError(f"trap={trap!r}: one of {', '.join(TRAPS)} is expected")
    return tuple(trap for trap in TRAPS if trap in traps)
