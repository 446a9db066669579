"""Writes a ResNet with random weights as torchvision would name them: what a test gives to --extractor.

    tests/make_extractor.py resnet50 8 out.safetensors      architecture, channels of its first layer, file
"""

from __future__ import annotations

import random
import struct
import sys
from math import prod, sqrt
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "weights_tools"))

from d3ad_weights.architectures import resnet
from d3ad_weights.safetensors_file import Tensor, write_safetensors


def values(name: str, shape: tuple[int, ...]) -> bytes:
    count = prod(shape)
    if len(shape) > 1:
        scale = sqrt(2 / prod(shape[1:]))
        numbers = [random.gauss(0, scale) for _ in range(count)]
    else:
        numbers = [1.0 if name.endswith((".weight", "running_var")) else 0.0] * count
    return struct.pack(f"<{count}f", *numbers)


def main(architecture: str, width: str, out: str) -> None:
    random.seed(architecture)
    tensors = {}
    for name, shape in resnet(architecture, int(width), 10).shapes.items():
        data = values(name, shape)
        tensors[name] = Tensor("F32", shape, lambda data=data: data)
    write_safetensors(Path(out), tensors, {})


if __name__ == "__main__":
    main(*sys.argv[1:])
