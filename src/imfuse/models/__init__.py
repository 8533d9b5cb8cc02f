"""Learned fusion methods, one file each: specification, blocks in the order data flows, network, key map.

A file in this package that assigns ``SPEC`` is a method; ``imfuse.core.registry`` finds it by that.
"""

from imfuse.models._base import FusionModel, Prediction
from imfuse.models._build import build_model, create_model, model_class

__all__ = ["FusionModel", "Prediction", "build_model", "create_model", "model_class"]
