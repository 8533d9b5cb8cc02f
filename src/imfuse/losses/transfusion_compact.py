"""Objectives of the compact TransFusion: those of the full one."""

from __future__ import annotations

from imfuse.losses.transfusion import Objective, Reconstruction

__all__ = ["Objective", "Reconstruction"]
