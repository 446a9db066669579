"""Safetensors files with the standard library alone: 8 bytes length, a JSON header, the tensors' bytes.

    tensors, metadata = read_safetensors(Path("vae.safetensors"))       # bytes stay in the file until asked for
    tensors["conv1.weight"].read()
    write_safetensors(Path("out.safetensors"), tensors, {"source": "..."})

Nothing in a file is trusted: each claim of the header is checked before a tensor is read. Equal content gives equal bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from .atomic_file import atomic_file
from .refusal import Refusal, printable

ELEMENT_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Tensor:
    """What a tensor is, and how to get its bytes (row-major, little-endian)."""

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], bytes]

    @property
    def size(self) -> int:
        return prod(self.shape) * ELEMENT_BYTES[self.dtype]


Tensors = dict[str, Tensor]


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("it names a tensor twice")
    return dict(pairs)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _read_part(path: Path, begin: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(begin)
        data = file.read(count)
    if len(data) != count:
        raise Refusal(f"'{path}' became shorter while it was read; try again")
    return data


def read_safetensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length < 2 or length > min(LONGEST_HEADER, size - 8):
                raise Refusal(f"'{path}' is no safetensors file, or cut short within its header; get it anew")
            text = file.read(length)
    except OSError as error:
        raise Refusal(f"cannot read '{path}': {error.strerror}") from error
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"'{path}': its header is damaged ({error}); get it anew") from error
    if not isinstance(header, dict):
        raise Refusal(f"'{path}': its header is not a JSON object; get it anew")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise Refusal(f"'{path}': its metadata are not text; get it anew")

    tensors: Tensors = {}
    spans: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        says = f"'{path}': tensor '{printable(name)}'"
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise Refusal(f"{says} is not described by dtype, shape and data_offsets; get the file anew")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in ELEMENT_BYTES:
            raise Refusal(f"{says} is of type {dtype!r}; known are {', '.join(ELEMENT_BYTES)}")
        for what, value in (("shape", shape), ("data_offsets", offsets)):
            if not isinstance(value, list) or not all(_is_count(v) for v in value):
                raise Refusal(f"{says}: its {what} are not a list of counts; get the file anew")
        begin, end = offsets if len(offsets) == 2 else (1, 0)
        tensor = Tensor(dtype, tuple(shape), partial(_read_part, path, 8 + length + begin, end - begin))
        if end < begin or end - begin != tensor.size:
            raise Refusal(f"{says} of shape {shape} needs {tensor.size} bytes, has {end - begin}; get the file anew")
        tensors[name] = tensor
        spans.append((begin, end, name))
    at = 0
    for begin, end, name in sorted(spans):
        if begin != at:
            raise Refusal(f"'{path}': before tensor '{printable(name)}' is an overlap or a hole; get the file anew")
        at = end
    if 8 + length + at != size:
        raise Refusal(f"'{path}' should be {8 + length + at} bytes long, it has {size}; it is cut short, get it anew")
    return tensors, metadata


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """By falling element size, then by name, so that each tensor is aligned; read one at a time."""
    order = sorted(tensors, key=lambda name: (-ELEMENT_BYTES[tensors[name].dtype], name))
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    at = 0
    for name in order:
        tensor = tensors[name]
        entry = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [at, at + tensor.size]}
        header[name] = entry
        at += tensor.size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with atomic_file(path) as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            data = tensors[name].read()
            if len(data) != tensors[name].size:
                raise Refusal(f"tensor '{printable(name)}' gave {len(data)} bytes, expected {tensors[name].size}")
            out.write(data)
