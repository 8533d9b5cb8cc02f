"""Metrics as public Python evaluators compute them, for the speed benchmark: ``PEERS`` maps symbols to functions.

Each takes the fused image and its two sources, (H, W) uint8 levels, and returns one number. They are written here from
the descriptions of those programs, plainly; where several do a metric differently, the fastest sensible way was taken.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np

Peer = Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]], float]

PEERS: dict[str, Peer] = {
    symbol: peer
    for module in iter_modules(__path__)
    for symbol, peer in import_module(f"{__name__}.{module.name}").PEERS.items()
}
