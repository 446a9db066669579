"""The rows that are compared, and what goes into the networks: shared by compare.py and the competitors in Python.

d3ad_peer.cpp says the same in C++. Inputs are hash numbers as the weights are, so that nothing has to be passed around.

    row = ROWS["unet_8"]                         row.kind "unet", row.batch 8
    x = image(row.batch, 256)                    uniform in [-1, 1), [n, 3, 256, 256]
    z = latent(row.batch, 256)                   of deviation 1, [n, 4, 32, 32]
"""

import math
from dataclasses import dataclass

import numpy as np

from hash_weights import hash_units

LATENT_CHANNELS = 4
REDUCTION = 8  # image pixels a latent pixel, along a side


@dataclass(frozen=True)
class Row:
    kind: str  # what is run: vae_encoder, vae_decoder, unet, resnet34, detection, train_step
    batch: int
    images: int = 1  # the reported time is divided by this
    warm_ups: int = 1


ROWS = {
    "vae_encoder_1": Row("vae_encoder", 1),
    "vae_decoder_1": Row("vae_decoder", 1),
    "unet_1": Row("unet", 1),
    "unet_8": Row("unet", 8),
    "resnet34_1": Row("resnet34", 1),
    "detection_8": Row("detection", 8, images=8),
    # What is compared is the prediction before the third update: wrong gradients or moments would show in it.
    "train_step_8": Row("train_step", 8, warm_ups=3),
    # Not a row of the table itself: what cold_start and peak_memory run.
    "detection_1": Row("detection", 1),
}

# The paper's networks, and small ones that only serve to check these programs.
UNET = {False: {}, True: dict(base=32, mults=(1, 2), nres=1, attn=(1, 2), heads=4)}
TRAINED_UNET = {False: dict(base=64), True: UNET[True]}
VAE = {False: {}, True: dict(block_out_channels=(32, 32, 32, 32), layers_per_block=1)}

# Of the anomaly map; in a model they come from its calibration.
LATENT_RANGE = (0.0, 4.0)
FEATURE_RANGE = (0.0, 2.0)


def uniform(name, shape):
    return hash_units(name, math.prod(shape)).reshape(shape)


def image(batch, size):
    return uniform("input.image", (batch, 3, size, size))


def latent(batch, size, name="input.latent"):
    side = size // REDUCTION
    return np.float32(math.sqrt(3)) * uniform(name, (batch, LATENT_CHANNELS, side, side))


def times(batch):
    """The step of every image for the UNet."""
    return np.array([(37 + 101 * i) % 1000 for i in range(batch)], np.float32)
