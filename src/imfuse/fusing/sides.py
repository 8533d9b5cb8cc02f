"""Which picture of a pair is the infrared one, and what its colours mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imfuse.core.errors import ModelError
from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.imaging.inputs import Array, Stored
from imfuse.imaging.order import ORDERS, Order, are_scans, check_colours, check_names, check_sensors
from imfuse.imaging.palette import coloured_share, find_palette, has_palette, heat_of, palette_colours

_COLOURED = 0.2


def checked_order(order: str) -> Order:
    """One of ``ORDERS``, or ``ModelError``."""
    if order not in ORDERS:
        raise ModelError(f"order={order!r}: check or given is expected")
    return order


def checked_palette(palette: str) -> None:
    """Raise ``ImageError`` where it is neither auto nor none nor a palette that is known."""
    if palette not in ("auto", "none"):
        palette_colours(palette)


def settled(infrared: Stored, visible: Stored, order: Order, palette: str) -> tuple[Stored, str]:
    """The infrared picture of a pair, its false colours mapped back to heat.

    Args:
        infrared: what was given as the infrared picture.
        visible: its partner.
        order: ``check`` refuses a pair that looks swapped.
        palette: that of the infrared picture; ``auto`` looks for one, ``none`` takes its colours as they are.

    Returns:
        The infrared picture; gray levels from cold to hot where a palette was found or named. And the palette by which
        they were mapped back: "none" where its colours are taken as they are, and nothing where it has none.

    Raises:
        PairError: the pair looks swapped.
    """
    if order == "check":
        if infrared.path and visible.path:
            check_names(infrared.path, visible.path)
        check_sensors(infrared, visible)
    if infrared.pixels.ndim == 2:
        return infrared, ""
    # The colours of a PET or SPECT scan are a palette as well, of which files have less or more.
    if palette == "none" or (palette == "auto" and are_scans(infrared, visible)):
        return infrared, "none"
    name = find_palette(infrared.pixels) if palette == "auto" else palette
    if name is None:
        if order == "check":
            check_colours(infrared, visible)
        if coloured_share(infrared.pixels) >= _COLOURED:
            note(
                f"{printable(infrared.name)}: the infrared picture has colours of no palette that is known; its "
                "brightness is taken for heat",
                "name the palette by infrared_palette=...",
                "or use infrared_palette='none' if its brightness is right",
            )
        return infrared, "none"
    if palette == "auto":
        note(
            f"{printable(infrared.name)}: the infrared picture is painted in the colours of {name}, whose brightness "
            "is not heat; they were mapped back",
            "name another palette by infrared_palette=...",
            "or use infrared_palette='none' to keep its brightness",
        )
    elif not has_palette(infrared.pixels, name):
        note(
            f"{printable(infrared.name)}: the colours of the infrared picture are not those of {name}, and were mapped "
            "to heat all the same",
            "name another palette by infrared_palette=...",
        )
    return replace(infrared, pixels=_mapped_back(infrared.pixels, name)), name


def _mapped_back(pixels: Array, palette: str) -> Array:
    heat = heat_of(pixels, palette)
    if isinstance(pixels, np.ma.MaskedArray):
        return np.ma.MaskedArray(heat, np.ma.getmaskarray(pixels).any(axis=2))
    return heat
