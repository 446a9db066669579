"""What a detection does around the networks, for numpy arrays and torch tensors alike.

    schedule = alpha_bars()                                        alpha_bar[t + 1] belongs to step t
    x = reconstruct(unet, z0)                                      unet(x, t): the predicted noise; t is one number
    score, maps = detect(image, encode, unet, decode, features, anomaly_map)

The formula is guided_step's in include/d3ad/ops/diffusion_step.hpp; every image has the same T_hat, so that its factors
are plain numbers. The latent is small (4 numbers for 64 pixels): these passes take less than a thousandth of the time.
"""

import math

import numpy as np

T_HAT = 80
STEPS = 10
ETA2 = 4.0


def alpha_bars(steps=1000, first=0.0015, last=0.0195):
    beta = np.linspace(first, last, steps).astype(np.float32)
    product = np.cumprod((np.float32(1) - beta).astype(np.float64))
    return np.concatenate([[1.0], product]).astype(np.float32)


def coefficients(t_hat=T_HAT, steps=STEPS):
    """The start's factor and, for every step in the order taken, (t, sqrt A, sqrt 1-A, sqrt B, c2)."""
    alpha_bar = alpha_bars()
    times = list(range(0, t_hat, max(t_hat // steps, 1)))
    plan = []
    for i in reversed(range(len(times))):
        t = times[i]
        a = float(alpha_bar[t + 1])
        b = float(alpha_bar[times[i - 1] + 1]) if i else 1.0
        plan.append((t, math.sqrt(a), math.sqrt(1 - a), math.sqrt(b), math.sqrt(1 - b)))
    return math.sqrt(float(alpha_bar[t_hat + 1])), plan


def reconstruct(unet, z0, t_hat=T_HAT, eta2=ETA2):
    start, plan = coefficients(t_hat)
    x = z0 * start
    for t, signal, spread, following, c2 in plan:
        e = unet(x, t)
        e = e - (z0 * signal + e * spread - x) * (spread * eta2)
        x = (x - e * spread) * (following / signal) + e * c2
    return x


def detect(image, encode, unet, decode, features, anomaly_map):
    z0 = encode(image)
    repaired_z = reconstruct(unet, z0)
    repaired = decode(repaired_z)
    seen, expected = features(image), features(repaired)
    return anomaly_map(z0, repaired_z, *seen[-2:], *expected[-2:])
