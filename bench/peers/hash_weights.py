"""Hash weights: what include/d3ad/weights/hash_weights.hpp computes, in numpy, so that all competitors have the same.

    tensor = hash_weights("unet.out.2.bias", (4,))      float32, a function of the full name and the shape alone
    units = hash_units("input.image", 1000)             the numbers underneath, uniform in [-1, 1)
    set_hash_weights(module, "unet.")                   every parameter and buffer of a torch module, by name
"""

import math

import numpy as np

MASK = (1 << 64) - 1
CHUNK = 1 << 20  # elements at a time: the 64-bit intermediates of a large tensor would not fit in a cache


def stream(name):
    """FNV-1a, 64 bits."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def hash_units(name, count):
    """count float32 in [-1, 1): splitmix64 started from the name, its upper 24 bits."""
    start = np.uint64(stream(name))
    out = np.empty(count, np.float32)
    for begin in range(0, count, CHUNK):
        end = min(begin + CHUNK, count)
        z = np.arange(begin + 1, end + 1, dtype=np.uint64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z += start
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        out[begin:end] = (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    return out


def hash_weights(name, shape):
    count = math.prod(shape)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.float32)
    u = hash_units(name, count).reshape(shape)
    if name.endswith("running_var"):
        return np.float32(1) + np.float32(0.5) * np.abs(u)
    if name.endswith(("running_mean", "bias")):
        return np.float32(0.1) * u
    if len(shape) <= 1:
        return np.float32(1) + np.float32(0.1) * u
    return np.float32(math.sqrt(3.0 * shape[0] / count)) * u


def set_hash_weights(module, prefix):
    import torch  # here alone: the competitors that know nothing of torch use this file too

    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(torch.from_numpy(hash_weights(prefix + name, tuple(tensor.shape))))
    return module
