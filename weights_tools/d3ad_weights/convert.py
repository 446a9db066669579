"""`convert`: published weights to the safetensors that d3ad reads.

    convert([Path("resnet34-b627a593.pth")], Path("resnet34.safetensors"), names="keep", dtype="half")
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .checkpoint import read_checkpoint, sha256
from .naming import SPELLINGS, from_own, is_square_attention
from .recognise import Recognised, recognise
from .refusal import Refusal, nearest
from .safetensors_file import Tensor, Tensors, write_safetensors
from .storage import NAMES, stored_as

OWN = {family: spellings[0] for family, spellings in SPELLINGS.items()}
CHOICES = ["keep", "d3ad", *sorted({s for all_of_it in SPELLINGS.values() for s in all_of_it} - {"d3ad"})]


def _reshaped(tensor: Tensor, own_name: str, spelling: str) -> Tensor:
    """The attention's matrices are 1x1 convolutions in CompVis' spelling."""
    if not is_square_attention(own_name):
        return tensor
    square = tensor.shape[:2]
    return Tensor(tensor.dtype, (*square, 1, 1) if spelling == "compvis" else square, tensor.read)


def renamed(found: Recognised, names: str, source: str) -> Tensors:
    if names == "keep":
        return dict(found.tensors)
    family = found.spelling.family
    want = OWN[family] if names == "d3ad" else names
    if want not in SPELLINGS[family]:
        raise Refusal(
            f"'{source}' is {found.network.name}, which has no spelling '{want}'; "
            f"it has {', '.join(SPELLINGS[family])}{nearest(SPELLINGS[family], want)}"
        )
    out: Tensors = {}
    for name, tensor in found.tensors.items():
        own = found.own[name]
        out[from_own(family, want, own, found.levels)] = _reshaped(tensor, own, want)
    return out


def convert(inputs: list[Path], output: Path, names: str = "keep", dtype: str = "keep") -> str:
    """Writes `output`; returns a line that says what was found."""
    if output.suffix != ".safetensors":
        raise Refusal(f"'{output}' should end in .safetensors, that is what is written")
    checkpoint = read_checkpoint(inputs)
    source = str(inputs[0])
    found = recognise(checkpoint.tensors, source)
    tensors = renamed(found, names, source)
    if dtype != "keep":
        tensors = {name: stored_as(tensor, NAMES[dtype], name) for name, tensor in tensors.items()}
    config = {**found.network.config, **checkpoint.config}
    metadata = {
        "architecture": found.network.name,
        "config": json.dumps(config),
        "source": ", ".join(path.name for path in checkpoint.sources),
        "source_sha256": ", ".join(sha256(path) for path in checkpoint.sources),
    }
    write_safetensors(output, tensors, metadata)
    aside = f", {found.set_aside} of other networks set aside" if found.set_aside else ""
    total = sum(tensor.size for tensor in tensors.values())
    return (
        f"{output}: {found.network.name} {json.dumps(config)}, {len(tensors)} tensors, "
        f"{total / 1e6:.1f} MB, names of {found.spelling.spelling}" + (f" -> {names}" if names != "keep" else "") + aside
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        nargs="+",
        type=Path,
        help=".pth, .pt, .ckpt, .bin, .safetensors, .safetensors.index.json, a diffusers folder (a vae/ or a whole "
        "pipeline), or TAESD's two files",
    )
    parser.add_argument("--out", "-o", required=True, type=Path, help="the safetensors file to write")
    parser.add_argument(
        "--names",
        choices=CHOICES,
        default="keep",
        help="the spelling of the tensors' names; keep: as they are, without what other tools put before them (default)",
    )
    parser.add_argument(
        "--dtype",
        choices=["keep", *NAMES],
        default="keep",
        help="how floating point numbers are stored; keep: as they are (default)",
    )


def run(arguments: argparse.Namespace) -> int:
    print(convert(arguments.input, arguments.out, arguments.names, arguments.dtype))
    return 0
