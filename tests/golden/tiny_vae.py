"""Makes tiny_vae.safetensors: the tiny VAE in plain numpy, double precision, with hash weights.

    python3 tests/golden/tiny_vae.py        # needs numpy; the tests read only the file it leaves
"""
import json
import pathlib
import struct

import numpy as np

WIDTH, LATENT = 32, 8  # small enough to keep, the same graph as the published 64 and 32


def weights(name, shape):
    """The hash weights of one tensor: FNV-1a of its name, splitmix64 from there, as in tests/golden/README.md."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(1, np.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    u = (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1
    if name.endswith("bias"):
        u = 0.1 * u
    elif len(shape) == 1:
        u = 1 + 0.1 * u
    else:
        u = u * np.sqrt(3 / np.prod(shape[1:]))
    return u.astype(np.float32).astype(np.float64).reshape(shape)


def conv(x, name, out, kernel=3, stride=1, bias=True):
    c, h, w = x.shape
    weight = weights("tae." + name + ".weight", (out, c, kernel, kernel))
    pad = kernel // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    y = np.zeros((out, h // stride, w // stride))
    for i in range(kernel):
        for j in range(kernel):
            y += np.einsum("oc,chw->ohw", weight[:, :, i, j], x[:, i : i + h : stride, j : j + w : stride])
    return y + weights("tae." + name + ".bias", (out,))[:, None, None] if bias else y


def relu(x):
    return np.maximum(x, 0)


def group_norm(x, name, groups):
    c, h, w = x.shape
    g = x.reshape(groups, -1)
    g = (g - g.mean(axis=1, keepdims=True)) / np.sqrt(g.var(axis=1, keepdims=True) + 1e-5)
    weight, bias = weights("tae." + name + ".weight", (c,)), weights("tae." + name + ".bias", (c,))
    return g.reshape(c, h, w) * weight[:, None, None] + bias[:, None, None]


def block(x, name, pool):
    if pool:
        h = relu(group_norm(conv(x, name + ".pool.0", 4 * WIDTH, 1, bias=False), name + ".pool.1", 4))
        x = x + conv(h, name + ".pool.3", WIDTH, 1, bias=False)
    h = relu(conv(x, name + ".conv.0", WIDTH))
    h = relu(conv(h, name + ".conv.2", WIDTH))
    return relu(conv(h, name + ".conv.4", WIDTH) + x)


def encode(x):
    h = conv((x + 1) / 2, "encoder.0", WIDTH)
    h = block(h, "encoder.1", False)
    for step in (2, 6, 10):
        h = conv(h, f"encoder.{step}", WIDTH, stride=2, bias=False)
        for i in (1, 2, 3):
            h = block(h, f"encoder.{step + i}", step == 10)
    return conv(h, "encoder.14", LATENT)


def decode(z):
    h = relu(conv(3 * np.tanh(z / 3), "decoder.1", WIDTH))
    for step in (3, 8, 13):
        for i in (0, 1, 2):
            h = block(h, f"decoder.{step + i}", step == 3)
        h = conv(h.repeat(2, axis=1).repeat(2, axis=2), f"decoder.{step + 4}", WIDTH, bias=False)
    return 2 * conv(block(h, "decoder.18", False), "decoder.19", 3) - 1


def save(path, metadata, tensors):
    header, data = {"__metadata__": metadata}, b""
    for name, value in tensors.items():
        raw = value.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    x = np.random.default_rng(0).uniform(-1, 1, (3, 32, 48)).astype(np.float32).astype(np.float64)
    latent = encode(x)
    config = {"architecture": "tae", "latent_channels": LATENT, "midblock_group_norm": True, "width": WIDTH}
    save(
        pathlib.Path(__file__).with_suffix(".safetensors"),
        {"kind": "tae", "weights": "hash", "prefix": "tae.", "config": json.dumps(config),
         "note": "x and image in [-1, 1]; image not clamped"},
        {"x": x[None], "latent": latent[None], "image": decode(latent.astype(np.float32).astype(np.float64))[None]},
    )
