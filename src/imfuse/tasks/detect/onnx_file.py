"""What is asked of an ONNX file before a runtime opens it: that it is one, and that all of it is in the file.

ONNX files are protocol buffers. Only the fields that lead to tensors are followed; the content of tensors is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

from imfuse.core.errors import ModelError

MAX_BYTES = 1 << 30
_MOST_FIELDS = 5_000_000
_DEEPEST = 16
# Number of a field -> the kind of message in it, by the kind of the message that has it.
_FIELDS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_onnx(data: bytes, name: str) -> None:
    """Look through a file.

    Args:
        data: its content.
        name: what errors call it.

    Raises:
        ModelError: it is not an ONNX file, is damaged, or keeps tensors in other files.

    Example:
        >>> check_onnx(b"PK is not a model", "a.zip")
        Traceback (most recent call last):
            ...
        imfuse.core.errors.ModelError: a.zip: not an ONNX file, or a damaged one; export the detector as ONNX
    """
    content, graphs, fields = memoryview(data), 0, 0
    waiting = [("model", 0, len(data), 0)]
    while waiting:
        kind, start, end, depth = waiting.pop()
        for number, wire, first, last in _parts(content, start, end, name):
            fields += 1
            if fields > _MOST_FIELDS:
                raise ModelError(f"{name}: an ONNX file of more than {_MOST_FIELDS} parts")
            elsewhere = number == _DATA_LOCATION and wire == _VARINT and content[first] != 0
            if kind == "tensor" and (number == _EXTERNAL_DATA or elsewhere):
                raise ModelError(f"{name}: keeps its weights in other files, which are not read; store it as one file")
            below = _FIELDS.get(kind, {}).get(number)
            if below is None or wire != _BYTES:
                continue
            graphs += kind == "model" and below == "graph"
            if depth == _DEEPEST:
                raise ModelError(f"{name}: an ONNX file with graphs nested more than {_DEEPEST} deep")
            waiting.append((below, first, last, depth + (below == "graph")))
    if graphs != 1:
        raise _damaged(name)


def _parts(content: memoryview, start: int, end: int, name: str) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, begin and end of each field of a message."""
    place = start
    while place < end:
        key, place = _varint(content, place, end, name)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            first = place
            _, place = _varint(content, place, end, name)
        elif wire == _BYTES:
            length, first = _varint(content, place, end, name)
            place = first + length
        elif wire in (_FIXED64, _FIXED32):
            first, place = place, place + (8 if wire == _FIXED64 else 4)
        else:
            raise _damaged(name)
        if place > end or number == 0:
            raise _damaged(name)
        yield number, wire, first, place


def _varint(content: memoryview, place: int, end: int, name: str) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 64:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    raise _damaged(name)


def _damaged(name: str) -> ModelError:
    return ModelError(f"{name}: not an ONNX file, or a damaged one", "export the detector as ONNX")
