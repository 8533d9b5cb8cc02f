"""Files to arrays and back: reading, writing, colour, range, pairing of names."""

from imfuse.core.output import remove_leftovers
from imfuse.imaging._listing import EXTENSIONS
from imfuse.imaging._resize import resize
from imfuse.imaging.colour import is_gray, luminance, recombine, rgb_to_ycbcr, ycbcr_to_rgb
from imfuse.imaging.fused import match_fused
from imfuse.imaging.pairs import (
    Pair,
    Pairing,
    check_same_size,
    find_pairing,
    match_folders,
    read_pairs,
    side_of_name,
)
from imfuse.imaging.range import Range, RangeLike, as_range, parse_range, to_unit
from imfuse.imaging.read import image_size, read_image
from imfuse.imaging.sensors.celsius import read_celsius, write_celsius
from imfuse.imaging.sensors.conditions import Conditions
from imfuse.imaging.sensors.info import describe
from imfuse.imaging.sensors.sensor import View
from imfuse.imaging.sensors.units import UNITS
from imfuse.imaging.stored import read_metadata
from imfuse.imaging.write import quantise, write_file, write_image

__all__ = [
    "EXTENSIONS",
    "UNITS",
    "Conditions",
    "Pair",
    "Pairing",
    "Range",
    "RangeLike",
    "View",
    "as_range",
    "check_same_size",
    "describe",
    "find_pairing",
    "image_size",
    "is_gray",
    "luminance",
    "match_folders",
    "match_fused",
    "parse_range",
    "quantise",
    "read_celsius",
    "read_image",
    "read_metadata",
    "read_pairs",
    "recombine",
    "remove_leftovers",
    "resize",
    "rgb_to_ycbcr",
    "side_of_name",
    "to_unit",
    "write_celsius",
    "write_file",
    "write_image",
    "ycbcr_to_rgb",
]


def __dir__() -> list[str]:
    return sorted(__all__)
