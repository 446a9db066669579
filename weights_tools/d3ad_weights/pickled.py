"""What PyTorch's files (.pth, .pt, .ckpt, .bin) hold, without running anything of theirs.

    check_archive(path)             # whole? and does its pickle name only what weights need?  (standard library alone)
    tensors = read_pickled(path)    # torch.load(..., weights_only=True), then tensors by name

A pickle is a program; one that names anything but tensors and containers is refused before PyTorch sees it, with the
name of what it wanted, and PyTorch's own `weights_only` stands behind that.
"""

from __future__ import annotations

import ctypes
import pickletools
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

from .refusal import Refusal, printable
from .safetensors_file import Tensor, Tensors

# What state dicts are made of; the same as PyTorch's own list for weights_only, as far as weights need it.
_STORAGES = "Float Double Half BFloat16 Long Int Short Char Byte Bool".split()
ALLOWED = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_parameter",
    "torch.storage UntypedStorage",
    "torch Size",
    "torch device",
    "_codecs encode",
    *(f"torch {name}Storage" for name in _STORAGES),
}
_STRINGS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "SHORT_BINSTRING", "BINSTRING", "STRING")


def wanted_globals(pickle: bytes) -> set[str]:
    """'module name' of everything a pickle looks up, read from its opcodes; ValueError where it is no whole pickle."""
    found: set[str] = set()
    strings: list[str] = []  # the last two; STACK_GLOBAL takes them
    memo: list[str] = []
    by_index: dict[int, str] = {}
    for opcode, argument, _ in pickletools.genops(pickle):
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            found.add(str(argument))
        elif name in _STRINGS:
            strings.append(str(argument))
        elif name == "MEMOIZE":
            memo.append(strings[-1] if strings else "")
        elif name in ("BINPUT", "LONG_BINPUT", "PUT") and argument is not None:
            by_index[int(argument)] = strings[-1] if strings else ""
        elif name in ("BINGET", "LONG_BINGET", "GET") and argument is not None:
            index = int(argument)
            strings.append(by_index.get(index) or (memo[index] if index < len(memo) else ""))
        elif name == "STACK_GLOBAL":
            found.add(" ".join(strings[-2:]))
        elif name in ("EXT1", "EXT2", "EXT4"):
            found.add(f"copyreg extension {argument}")
    return found


def _check_pickle(path: Path, pickle: bytes) -> None:
    try:
        unwanted = sorted(wanted_globals(pickle) - ALLOWED)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise Refusal(f"'{path}': its pickle is damaged or cut short; get the file anew") from error
    if unwanted:
        names = ", ".join(f"'{printable(name.replace(' ', '.', 1))}'" for name in unwanted[:3])
        raise Refusal(
            f"'{path}' is a pickle that wants to run code: it names {names}, weights need tensors and containers only; "
            "do not open it, get a safetensors file or a plain state dict from whom you trust"
        )


def check_archive(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if not magic:
            raise Refusal(f"'{path}' is empty; get it anew")
        if magic[:2] != b"PK":
            if magic[:1] == b"\x80":
                # Before PyTorch 1.6: four pickles one after the other, then the storages.
                return _check_old_format(path)
            raise Refusal(f"'{path}' is no file of PyTorch's (neither a zip archive nor a pickle); get it anew")
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.endswith(".pkl")]
            if not any(name.rsplit("/", 1)[-1] == "data.pkl" for name in pickles):
                raise Refusal(f"'{path}' is a zip archive without 'data.pkl': no file of weights; get it anew")
            damaged = archive.testzip()
            if damaged is not None:
                raise Refusal(f"'{path}': '{printable(damaged)}' in it is damaged (wrong checksum); get it anew")
            for name in pickles:
                _check_pickle(path, archive.read(name))
    except zipfile.BadZipFile as error:
        raise Refusal(f"'{path}' is a zip archive that is cut short or damaged; get it anew") from error
    except OSError as error:
        raise Refusal(f"cannot read '{path}': {error.strerror or error}") from error


def _check_old_format(path: Path) -> None:
    with path.open("rb") as file:
        for part in range(4):  # magic number, protocol, system, the object
            begin = file.tell()
            try:
                for _ in pickletools.genops(file):
                    pass
            except (ValueError, IndexError, UnicodeDecodeError) as error:
                if part:
                    raise Refusal(f"'{path}': its pickle is damaged or cut short; get the file anew") from error
                raise Refusal(f"'{path}' is no pickle of PyTorch's, or cut short; get it anew") from error
            end = file.tell()
            file.seek(begin)
            _check_pickle(path, file.read(end - begin))
            if file.tell() == path.stat().st_size:
                return  # a lone pickle: PyTorch says what it thinks of it


def import_torch(why: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise Refusal(f"{why} needs PyTorch: pip install -r weights_tools/requirements.txt") from error
    return torch


def _bytes_of(tensor: Any) -> bytes:
    tensor = tensor.detach().contiguous()
    return ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size()) if tensor.numel() else b""


def torch_tensors(values: dict[str, Any]) -> Tensors:
    """PyTorch's tensors as ours, their bytes copied when they are read."""
    torch = import_torch("reading tensors")
    types = {
        torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
        torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
    }  # fmt: skip
    out: Tensors = {}
    for name, value in values.items():
        if value.dtype not in types:
            raise Refusal(f"tensor '{printable(name)}' is of type {value.dtype}, which safetensors has not")
        out[name] = Tensor(types[value.dtype], tuple(value.shape), partial(_bytes_of, value))
    return out


def read_pickled(path: Path) -> Tensors:
    check_archive(path)
    torch = import_torch(f"reading '{path}'")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch raises whatever the part that failed raises
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Refusal(f"'{path}': PyTorch cannot load it as weights only ({first})") from error
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise Refusal(f"'{path}' holds a {type(content).__name__}, expected a state dict: names and tensors")
    tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if not tensors or not all(isinstance(name, str) for name in tensors):
        raise Refusal(f"'{path}' holds no tensors under names; expected a state dict")
    return torch_tensors(tensors)
