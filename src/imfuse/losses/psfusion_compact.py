"""Objective of the compact PSFusion: that of the full one."""

from __future__ import annotations

from imfuse.losses.psfusion import Objective

__all__ = ["Objective"]
