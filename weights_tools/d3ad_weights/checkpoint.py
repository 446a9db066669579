"""Tensors by name from any file or folder that holds weights.

    checkpoint = read_checkpoint([Path("sd-vae-ft-mse")])       # a file, a shard index, a diffusers folder, a TAESD pair
    checkpoint.tensors, checkpoint.sources                       # the files they came from
    checkpoint.config                                            # of what no shape tells, what a file beside them says
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .pickled import read_pickled
from .refusal import Refusal, printable
from .safetensors_file import Tensors, read_safetensors

PICKLED = (".pth", ".pt", ".ckpt", ".bin")
# In a diffusers folder, best first.
STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")


# What no shape tells: in diffusers' config.json, and in the metadata of our own files.
TOLD: dict[str, tuple[type, ...]] = {"norm_num_groups": (int,), "scaling_factor": (int, float), "heads": (int,)}


@dataclass
class Checkpoint:
    tensors: Tensors
    sources: list[Path]
    config: dict[str, Any] = field(default_factory=dict)


def sha256(path: Path) -> str:
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                hasher.update(part)
    except OSError as error:
        raise Refusal(f"cannot read '{path}': {error.strerror}") from error
    return hasher.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refusal(f"cannot read '{path}': {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise Refusal(f"'{path}' is not valid JSON ({error})") from error
    if not isinstance(content, dict):
        raise Refusal(f"'{path}' is not a JSON object")
    return content


def _told(config: object) -> dict[str, Any]:
    if not isinstance(config, dict):
        return {}
    return {k: config[k] for k, t in TOLD.items() if isinstance(config.get(k), t) and not isinstance(config[k], bool)}


def _config_beside(weights: Path) -> dict[str, Any]:
    path = weights.parent / "config.json"
    if not path.is_file():
        return {}
    config = read_json(path)
    if config.get("shift_factor"):
        raise Refusal(f"'{path}' has a shift_factor; d3ad supports no autoencoders with one, take Stable Diffusion 1's or 2's")
    return _told(config)


def _own_config(metadata: dict[str, str]) -> dict[str, Any]:
    try:
        return _told(json.loads(metadata.get("config", "{}")))
    except (ValueError, RecursionError):
        return {}  # another program's, under the same key


def _read_shards(index: Path) -> Checkpoint:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(v, str) for v in names.values()):
        raise Refusal(f"'{index}' has no 'weight_map' from tensors to files")
    tensors: Tensors = {}
    sources = []
    for shard in sorted(set(names.values())):
        if shard in ("", ".", "..") or "/" in shard or "\\" in shard or "\0" in shard:
            raise Refusal(f"'{index}' names the shard '{printable(shard)}'; shards lie in the index's own folder")
        path = index.parent / shard
        found = _read_file(path).tensors
        sources.append(path)
        for name, tensor in found.items():
            if names.get(name) != shard:
                raise Refusal(f"'{path}' holds '{printable(name)}', which '{index}' does not say")
            tensors[name] = tensor
    for name, shard in names.items():
        if name not in tensors:
            raise Refusal(f"'{index}' says that '{printable(name)}' is in '{shard}', but it is not")
    return Checkpoint(tensors, sources, _config_beside(index))


def _read_file(path: Path) -> Checkpoint:
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    if path.suffix == ".safetensors":
        tensors, metadata = read_safetensors(path)
        return Checkpoint(tensors, [path], _own_config(metadata))
    if path.suffix in PICKLED:
        return Checkpoint(read_pickled(path), [path])
    raise Refusal(
        f"'{path}' ends in '{path.suffix}', expected .safetensors, .safetensors.index.json or {', '.join(PICKLED)}"
    )


def _in_folder(folder: Path) -> Path:
    if (folder / "model_index.json").is_file():  # a whole pipeline: its autoencoder is what is wanted
        folder = folder / "vae"
    endings = [".safetensors", ".safetensors.index.json", ".fp16.safetensors", ".bin", ".bin.index.json"]
    for ending in endings:
        for stem in STEMS:
            if (folder / (stem + ending)).is_file():
                return folder / (stem + ending)
    raise Refusal(f"'{folder}' has no {STEMS[0]}.safetensors, .safetensors.index.json or .bin; is it a diffusers folder?")


def read_checkpoint(paths: list[Path]) -> Checkpoint:
    """One file or folder; or the two files of TAESD, whose names say which is which."""
    if len(paths) == 1:
        path = _in_folder(paths[0]) if paths[0].is_dir() else paths[0]
        if not path.exists():
            raise Refusal(f"there is no file '{path}'")
        found = _read_file(path)
        if paths[0].is_dir():
            found.config.update(_config_beside(path))
        return found
    merged = Checkpoint({}, [])
    for path in paths:
        parts = [part for part in ("encoder", "decoder") if part in path.name]
        if len(paths) != 2 or len(parts) != 1:
            raise Refusal("several files are read as TAESD's pair only: one named *encoder*, one named *decoder*")
        found = _read_file(path)
        merged.sources += found.sources
        for name, tensor in found.tensors.items():
            full = f"{parts[0]}.{name}"
            if full in merged.tensors:
                raise Refusal(f"'{paths[0]}' and '{path}' are both a {parts[0]}")
            merged.tensors[full] = tensor
    return merged
