"""Floating point numbers from one storage to another: exactly IEEE's rounding, no infinity out of a number."""

from __future__ import annotations

import math
import random
import struct

import pytest

from d3ad_weights.refusal import Refusal
from d3ad_weights.safetensors_file import Tensor
from d3ad_weights.storage import converted, stored_as


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def bits16(data: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(data) // 2}H", data))


def test_bfloat16_is_rounded_to_nearest_ties_to_even() -> None:
    def of(bits: int) -> float:
        return float(struct.unpack("<f", struct.pack("<I", bits))[0])

    cases = {0x3F800000: 0x3F80, 0x3F808000: 0x3F80, 0x3F818000: 0x3F82, 0x3F808001: 0x3F81, 0x3F80FFFF: 0x3F81,
             0xBF818000: 0xBF82, 0x00000001: 0x0000, 0x80000000: 0x8000, 0x7F800000: 0x7F80, 0xFF800000: 0xFF80}  # fmt: skip
    for have, want in cases.items():
        assert bits16(converted(floats(of(have)), "F32", "BF16")) == [want]
    (nan,) = bits16(converted(floats(math.nan), "F32", "BF16"))
    assert nan & 0x7F80 == 0x7F80 and nan & 0x7F


def test_half_is_rounded_to_nearest_ties_to_even() -> None:
    half = converted(floats(1.0, 1 + 2**-11, 1 + 3 * 2**-11, 65504.0, 2**-24, -0.0), "F32", "F16")
    assert bits16(half) == [0x3C00, 0x3C00, 0x3C02, 0x7BFF, 0x0001, 0x8000]


def test_numbers_that_fit_come_back() -> None:
    random.seed(1)
    values = [random.uniform(-4, 4) for _ in range(200_000)]  # several chunks
    wide = struct.pack(f"<{len(values)}d", *values)
    single = converted(wide, "F64", "F32")
    assert converted(converted(single, "F32", "F64"), "F64", "F32") == single
    for narrow in ("F16", "BF16"):
        small = converted(single, "F32", narrow)
        assert len(small) == 2 * len(values)
        assert converted(converted(small, narrow, "F32"), "F32", narrow) == small
        back = struct.unpack(f"<{len(values)}f", converted(small, narrow, "F32"))
        limit = 2.0**-11 if narrow == "F16" else 2.0**-8
        assert max(abs(a - b) / max(abs(a), 1e-3) for a, b in zip(values, back)) <= limit


@pytest.mark.parametrize(("value", "want"), [(65520.0, "F16"), (3.4e38, "F16"), (3.4028235e38, "BF16")])
def test_a_number_too_large_is_refused_by_its_tensors_name(value: float, want: str) -> None:
    tensor = Tensor("F32", (2,), lambda: floats(1.0, value))
    with pytest.raises(Refusal, match="tensor 'conv1.weight' holds a number that"):
        stored_as(tensor, want, "conv1.weight").read()


def test_infinity_stays_and_integers_stay() -> None:
    assert bits16(converted(floats(math.inf, -math.inf), "F32", "F16")) == [0x7C00, 0xFC00]
    counter = Tensor("I64", (), lambda: bytes(8))
    assert stored_as(counter, "F16", "bn1.num_batches_tracked") is counter
    assert stored_as(Tensor("F32", (1,), lambda: floats(1.0)), "F16", "a").size == 2
