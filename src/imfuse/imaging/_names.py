"""What the name of a picture says: the side that it shows, and which scene."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

Side = Literal["infrared", "visible"]

_INFRARED = ("previewdata", "infrared", "thermal", "lwir", "mwir", "swir", "nir", "tir", "fir", "inf", "ir")
_VISIBLE = ("visible", "visual", "optical", "colour", "color", "rgb", "vis", "vi", "eo")
_MEDICAL = ("spect", "mri", "pet", "ct")
# In Chinese and Japanese. They stand beside other characters without a separator, and may be followed by "picture".
_INFRARED_HAN = ("热红外", "近红外", "远红外", "红外", "热成像", "热像", "紅外", "熱像", "赤外線", "赤外")
_VISIBLE_HAN = ("可见光", "可见", "可見光", "可見", "可視光", "可視", "彩色", "白光")
_HAN_PICTURE = "(?:图像|图片|图|圖像|圖|画像)?"
# Short words that also are a part of many names: they count only where they stand alone, or at an end.
_INFRARED_ALONE, _VISIBLE_ALONE = ("t",), ("v", "w", "z", "co", "dc")
_INFRARED_HAN_ALONE = ("热", "熱")

_SIDES: dict[str, Side] = {
    **dict.fromkeys((*_INFRARED, *_INFRARED_HAN, *_INFRARED_HAN_ALONE, *_INFRARED_ALONE), "infrared"),
    **dict.fromkeys((*_VISIBLE, *_VISIBLE_HAN, *_VISIBLE_ALONE), "visible"),
}
_WORDS = (*_INFRARED, *_VISIBLE, *_MEDICAL)
_LONG = "|".join(_WORDS)
_SHAPED = "|".join(form for word in _WORDS for form in (word.upper(), word.capitalize()))
_HAN = "|".join(sorted((*_INFRARED_HAN, *_VISIBLE_HAN), key=len, reverse=True))
_SHORT = "|".join((*_INFRARED_ALONE, *_VISIBLE_ALONE))

# A word in a piece of a name (what lies between two separators): ir, ir12, 12ir, roadIR, IRRoad, 夜红外12, 热12, 12热.
_IN_PIECE = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        (rf"(?P<word>{_LONG})(?P<rest>[0-9]*)", re.IGNORECASE),
        (rf"(?P<rest>.*[0-9])(?P<word>{_LONG})", re.IGNORECASE),
        (rf"(?P<rest>.*[a-z])(?P<word>{_SHAPED})", 0),
        (rf"(?P<word>{_SHAPED})(?P<rest>[A-Z][a-z].*)", 0),
        (rf"(?P<rest>.*?)(?P<word>{_HAN}){_HAN_PICTURE}(?P<tail>.*)", 0),
        (rf"(?P<word>[热熱]){_HAN_PICTURE}(?P<rest>.*)", 0),
        (rf"(?P<rest>.*)(?P<word>[热熱]){_HAN_PICTURE}", 0),
    )
)
_IN_FIRST = re.compile(rf"(?P<word>{_LONG}|[tv])(?P<rest>[0-9].*)", re.IGNORECASE)
_IN_LAST = re.compile(r"(?P<word>[tv])(?P<rest>[0-9]*)", re.IGNORECASE)
_ALONE = re.compile(rf"(?P<word>{_SHORT})(?P<rest>)", re.IGNORECASE)
_MARKS = "-_. ()"
_SEPARATOR = re.compile(rf"([{_MARKS}]+)")
_LETTER = re.compile(r"[^\W\d_]")
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")


def folded(name: str) -> str:
    """The name without regard to case, and to how accents are stored (composed, or by macOS in two characters)."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", name).casefold()


def split_name(name: str) -> tuple[str, tuple[str, ...]]:
    """Take the words for a modality out of a name.

    Args:
        name: without extension; of a picture in sub-folders with "/" between them.

    Returns:
        What is left, without regard to case, and the words in their order.

    >>> split_name("seq1/ir/DJI_0007_T"), split_name("11RGB"), split_name("夜可见光3")
    (('seq1/dji_0007', ('ir', 't')), ('11', ('rgb',)), ('夜3', ('可见光',)))
    """
    if not _LETTER.search(name):
        return name, ()
    words: list[str] = []
    parts = [_without_words(part, words) for part in unicodedata.normalize("NFC", name).split("/")]
    return "/".join(filter(None, parts)).casefold(), tuple(words)


def without_zeros(name: str) -> str:
    """Numbers in a name without the zeros that they begin with: ``img_007`` becomes ``img_7``."""
    return _ZEROS.sub("", name)


def side_of(words: Sequence[str]) -> Side | None:
    """The side that words of a name speak of; ``None`` where they speak of neither, or of both."""
    sides = {_SIDES[word] for word in words if word in _SIDES}
    return sides.pop() if len(sides) == 1 else None


def look_swapped(infrared: Sequence[str], visible: Sequence[str]) -> bool:
    """Whether the words of a pair say the opposite of what it is given as. Those that both names have say nothing."""
    if not infrared or not visible or infrared == visible:
        return False
    first, second = Counter(infrared), Counter(visible)
    sides = [{_SIDES.get(word) for word in words} for words in (first - second, second - first)]
    return "visible" in sides[0] and "infrared" in sides[1]


def _without_words(part: str, words: list[str]) -> str:
    """One part of a name without its words, which are appended to ``words``."""
    pieces = _SEPARATOR.split(part)
    last = len(pieces) - 1
    kept: list[str] = []
    before = len(words)
    for i in range(0, last + 1, 2):
        numbered = i > 0 and len(pieces[i - 2]) > 2 and pieces[i - 2].isdigit()
        piece = pieces[i]
        rest, word = (piece, "") if piece.isdigit() else _peeled(piece, i == 0, i == last, numbered)
        if word:
            words.append(word)
        if rest or not word:
            kept += [pieces[i - 1], rest] if kept else [rest]
    return "".join(kept).strip(_MARKS) if len(words) > before else part


@lru_cache(maxsize=1 << 16)
def _peeled(piece: str, first: bool, last: bool, numbered: bool) -> tuple[str, str]:
    """A piece without the word in it, and the word. Short words count at the ends, and after the number of a shot."""
    patterns = [*_IN_PIECE]
    patterns += [_IN_FIRST] if first else []
    patterns += [_IN_LAST] if last else []
    patterns += [_ALONE] if first or last or numbered else []
    match = next((found for pattern in patterns if (found := pattern.fullmatch(piece))), None)
    if match is None:
        return piece, ""
    return match["rest"] + match.groupdict().get("tail", ""), match["word"].casefold()
