#!/usr/bin/env python3
"""Compares networks.py and detection.py with tests/golden, so that what the library is timed against is the same thing.

    check_networks.py [--golden DIR] [--small]       --small leaves out the paper's UNet and VAE

Prints the largest difference of every output relative to the golden's largest value; exit code 1 where one is above
1e-4 (1e-5 for maps), the goldens' own tolerances.
"""

import argparse
import json
import math
import pathlib
import sys

import numpy as np
import torch

import detection
from hash_weights import set_hash_weights
from networks import AnomalyMap, AutoencoderKL, ResNet34, UNet, UNetConfig, VaeConfig

DTYPES = {"F32": np.float32, "I64": np.int64, "U8": np.uint8}


def read_safetensors(path):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(data[8 + length + begin:8 + length + end], DTYPES[entry["dtype"]])
        tensors[name] = torch.from_numpy(array.reshape(entry["shape"]).copy())
    return tensors, metadata


def config_of(kind, metadata):
    given = json.loads(metadata["config"])
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})


def hashed(module, metadata):
    return set_hash_weights(module, metadata["prefix"]).eval().to(memory_format=torch.channels_last)


def unet(golden, metadata):
    net = hashed(UNet(config_of(UNetConfig, metadata)), metadata)
    return {"eps": net(golden["x"], golden["t"])}


def vae(golden, metadata):
    c = config_of(VaeConfig, metadata)
    net = hashed(AutoencoderKL(c), metadata)
    mean, logvar = net.moments(golden["x"]).chunk(2, dim=1)
    scaled = net.encode(golden["x"])
    return {"mean": mean, "logvar": logvar, "image": net.decode(golden["z"] * c.scaling_factor),
            "mean ": scaled / c.scaling_factor}


def resnet(golden, metadata):
    net = hashed(ResNet34(), metadata)
    # The golden's images are normalised already; forward() would do it again.
    plain, folded = net.features(golden["x"]), net.fold_norms().features(golden["x"])
    return {f"eval.layer{i + 1}" + mark: f for mark, fs in (("", plain), (" ", folded)) for i, f in enumerate(fs)}


def reconstruct(golden, metadata):
    net, scale = hashed(UNet(config_of(UNetConfig, metadata)), metadata), float(metadata["eps_scale"])
    found = []
    for z0, t_hat in zip(golden["z0"], golden["T_hat"].tolist()):
        found.append(detection.reconstruct(lambda x, t: scale * net(x, torch.tensor([t])), z0[None], t_hat,
                                           float(metadata["eta2"])))
    return {"x.10": torch.cat(found)}


def anomaly_map(golden, metadata):
    layers = [[golden[f"feat_{side}.{layer}"] for layer in (2, 3)] for side in ("target", "rec")]
    latent, feature = AnomalyMap(int(metadata["size"])).raw(golden["z0"], golden["z_rec"], *layers)
    ranges = [(m.min().item(), m.max().item()) for m in (latent, feature)]
    whole = AnomalyMap(int(metadata["size"]), *ranges, weight=float(metadata["lambda"]), sigma=float(metadata["sigma"]))
    score, mixed = whole(golden["z0"], golden["z_rec"], *layers[0], *layers[1])
    return {"latent_map": latent, "feature_map": feature, "anomaly_map": mixed, "score": score}


KINDS = {"unet": unet, "vae": vae, "resnet": resnet, "reconstruct": reconstruct, "anomaly_map": anomaly_map}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", type=pathlib.Path, default=pathlib.Path(__file__).parents[2] / "tests" / "golden")
    parser.add_argument("--small", action="store_true", help="leave out the paper's UNet and VAE")
    options = parser.parse_args()
    wrong = 0
    for path in sorted(options.golden.glob("*.safetensors")):
        golden, metadata = read_safetensors(path)
        check = KINDS.get(metadata["kind"])
        if check is None or float(metadata.get("omega", 0)) or (options.small and "paper" in path.stem):
            continue
        with torch.inference_mode():
            found = check(golden, metadata)
        for name, got in found.items():
            want = golden[name.strip()]
            difference = ((got - want).abs().max() / want.abs().max()).item()
            good = difference <= (1e-5 if check is anomaly_map else 1e-4) and math.isfinite(difference)
            wrong += not good
            print(f"{path.stem:24} {name:14} {difference:.1e}{'' if good else '   WRONG'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
