"""Learned fusion methods, one file each: specification, blocks in the order data flows, network, key map.

A file in this package that assigns ``SPEC`` is a method; ``imfuse.core.registry`` finds it by that.
"""

from imfuse.models._base import FusionModel

__all__ = ["FusionModel"]
