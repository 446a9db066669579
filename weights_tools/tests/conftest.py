"""What the tests share: networks as tensors of zeros, in any spelling."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from math import prod
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from d3ad_weights.architectures import Network
from d3ad_weights.naming import decoder_levels, from_own, is_square_attention
from d3ad_weights.safetensors_file import ELEMENT_BYTES, Tensor, Tensors

FAMILIES = {"AutoencoderKL": "vae", "AutoencoderTiny": "tiny_vae", "D3AD UNet": "unet"}


def family(network: Network) -> str:
    return FAMILIES.get(network.name, "resnet")


def zeros(shape: Iterable[int], dtype: str = "F16") -> Tensor:
    dims = tuple(shape)
    return Tensor(dtype, dims, partial(bytes, prod(dims) * ELEMENT_BYTES[dtype]))


def tensors_of(network: Network, spelling: str, prefix: str = "") -> Tensors:
    levels = decoder_levels(network.shapes)
    out: Tensors = {}
    for name, shape in network.shapes.items():
        dims = (*shape, 1, 1) if spelling == "compvis" and is_square_attention(name) else shape
        out[prefix + from_own(family(network), spelling, name, levels)] = zeros(dims)
    return out
