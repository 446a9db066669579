"""Floating point numbers from one storage to another: F64, F32, F16, BF16, rounded to nearest, ties to even.

    stored_as(tensor, "F16", "conv1.weight").read()

A number that the narrower type cannot hold is refused by the tensor's name: an infinity must not come from a number.
Integers (BatchNorm's counters) stay as they are.
"""

from __future__ import annotations

import struct
import sys
from array import array
from functools import partial

from .refusal import Refusal, printable
from .safetensors_file import Tensor

FLOATS = {"F64": "d", "F32": "f", "F16": "e"}  # struct's letters; BF16 has none
NAMES = {"float": "F32", "half": "F16", "bfloat16": "BF16"}
CHUNK = 1 << 16

assert sys.byteorder == "little", "safetensors is little-endian, and so is all of this"


def _floats(dtype: str, data: bytes) -> tuple[float, ...]:
    if dtype == "BF16":  # the upper half of a float
        wide = array("I", (value << 16 for value in array("H", data)))
        return struct.unpack(f"<{len(wide)}f", wide.tobytes())
    return struct.unpack(f"<{len(data) // struct.calcsize(FLOATS[dtype])}{FLOATS[dtype]}", data)


def _upper_half(bits: int) -> int:
    """A float's bits -> bfloat16's, to nearest, ties to even; NaN stays NaN."""
    if bits & 0x7FFFFFFF > 0x7F800000:
        return (bits >> 16) | 0x40
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def _bfloat16(values: tuple[float, ...]) -> bytes:
    bits = array("I", struct.pack(f"<{len(values)}f", *values))
    halves = array("H", map(_upper_half, bits))
    for whole, half in zip(bits, halves):
        if half & 0x7FFF == 0x7F80 and whole & 0x7FFFFFFF != 0x7F800000:
            raise OverflowError
    return halves.tobytes()


def converted(data: bytes, have: str, want: str) -> bytes:
    """OverflowError where a number does not fit."""
    if have == want:
        return data
    width = 2 if have == "BF16" else struct.calcsize(FLOATS[have])
    parts: list[bytes] = []
    for begin in range(0, len(data), CHUNK * width):
        values = _floats(have, data[begin : begin + CHUNK * width])
        parts.append(_bfloat16(values) if want == "BF16" else struct.pack(f"<{len(values)}{FLOATS[want]}", *values))
    return b"".join(parts)


def _read_converted(tensor: Tensor, want: str, name: str) -> bytes:
    try:
        return converted(tensor.read(), tensor.dtype, want)
    except OverflowError as error:
        raise Refusal(
            f"tensor '{printable(name)}' holds a number that {want} cannot; convert with --dtype bfloat16 or float"
        ) from error


def stored_as(tensor: Tensor, want: str, name: str) -> Tensor:
    if tensor.dtype == want or (tensor.dtype not in FLOATS and tensor.dtype != "BF16"):
        return tensor
    return Tensor(want, tensor.shape, partial(_read_converted, tensor, want, name))
