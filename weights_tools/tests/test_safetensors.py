"""Safetensors come back as they were written, no header can lie, and files are whole or not there."""

from __future__ import annotations

import errno
import json
import os
import struct
from pathlib import Path

import pytest

from d3ad_weights.atomic_file import atomic_file
from d3ad_weights.refusal import Refusal
from d3ad_weights.safetensors_file import Tensor, read_safetensors, write_safetensors


def raw(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_written_tensors_come_back(tmp_path: Path) -> None:
    tensors = {
        "b": Tensor("F16", (3,), lambda: b"123456"),
        "a": Tensor("F32", (2, 1), lambda: b"abcdefgh"),
        "n": Tensor("I64", (), lambda: b"12345678"),
        "none": Tensor("F32", (0, 4), lambda: b""),
    }
    write_safetensors(tmp_path / "x.safetensors", tensors, {"source": "é\n"})
    back, metadata = read_safetensors(tmp_path / "x.safetensors")
    assert metadata == {"source": "é\n"}
    assert {n: (t.dtype, t.shape, t.read()) for n, t in back.items()} == {
        n: (t.dtype, t.shape, t.read()) for n, t in tensors.items()
    }
    write_safetensors(tmp_path / "y.safetensors", dict(reversed(tensors.items())), {"source": "é\n"})
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no safetensors file"),
        (b"1234567", "no safetensors file"),
        (raw("{}", length=1 << 60), "no safetensors file"),
        (raw("{}", length=3), "no safetensors file"),
        (raw("[]"), "not a JSON object"),
        (raw('{"a": '), "header is damaged"),
        (raw("[" * 100_000), "header is damaged"),
        (raw('{"a":1,"a":1}'), "names a tensor twice"),
        (raw({"__metadata__": {"a": 1}}), "metadata are not text"),
        (raw({"a": 3}), "not described by dtype"),
        (raw({"a": entry() | {"more": 1}}, bytes(8)), "not described by dtype"),
        (raw({"a": entry(dtype="F33")}, bytes(8)), "is of type 'F33'"),
        (raw({"a": entry(dtype=[])}, bytes(8)), "is of type"),
        (raw({"a": entry(shape=[-2])}, bytes(8)), "not a list of counts"),
        (raw({"a": entry(shape=[True, 2])}, bytes(8)), "not a list of counts"),
        (raw({"a": entry(shape=[1 << 40, 1 << 40])}, bytes(8)), "needs"),
        (raw({"a": entry(offsets=[0, 4])}, bytes(4)), "needs 8 bytes, has 4"),
        (raw({"a": entry(offsets=[8, 0])}, bytes(8)), "needs 8 bytes"),
        (raw({"a": entry(offsets=[0])}, bytes(8)), "needs 8 bytes"),
        (raw({"a": entry(offsets=[4, 12])}, bytes(12)), "an overlap or a hole"),
        (raw({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12)), "an overlap or a hole"),
        (raw({"a": entry()}, bytes(7)), "should be"),
        (raw({"a": entry()}, bytes(9)), "should be"),
    ],
)
def test_no_header_can_lie(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(Refusal, match=says):
        read_safetensors(tmp_path / "x.safetensors")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="No such file"):
        read_safetensors(tmp_path / "x.safetensors")
    with pytest.raises(Refusal, match="cannot write"):
        write_safetensors(tmp_path / "no" / "x.safetensors", {}, {})


def test_a_file_that_is_cut_short_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_safetensors(path, {"a": Tensor("F32", (2,), lambda: bytes(8))}, {})
    tensor = read_safetensors(path)[0]["a"]
    os.truncate(path, 20)
    with pytest.raises(Refusal, match="became shorter"):
        tensor.read()


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Refusal, match="no space is left there; nothing was written"), atomic_file(path) as out:
        out.write(b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as out:
        out.write(b"new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic_file(path) as out:
        out.write(b"new")
    assert path.read_bytes() == b"new"
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_tensor_that_gives_other_bytes_than_it_says(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="gave 4 bytes, expected 8"):
        write_safetensors(tmp_path / "x.safetensors", {"a": Tensor("F32", (2,), lambda: bytes(4))}, {})
    assert not list(tmp_path.iterdir())
