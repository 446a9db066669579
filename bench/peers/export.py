#!/usr/bin/env python3
"""Writes the networks in each competitor's own form into a cache folder, once.

    export.py --cache DIR --image-size 256 [--small]

NAME.pt for PyTorch (a state dict), NAME.onnx for ONNX Runtime, NAME.xml and NAME.bin for OpenVINO; NAME is unet,
vae_encoder, vae_decoder, resnet34, map (in .pt the VAE is one file, vae). The number of images is left open in the
.onnx, and fixed by whoever loads it. d3ad's .safetensors are written by d3ad_peer.

A file that is there is kept, so the folder belongs to one image size and one set of networks (compare.py sees to it).
"""

import argparse
import os
import pathlib
import warnings

import torch

import rows
from hash_weights import set_hash_weights
from networks import AnomalyMap, AutoencoderKL, Decode, Encode, ResNet34, UNet, UNetConfig, VaeConfig

OPSET = 18


def written(path, write):
    """Writes path through a temporary name, so that an interrupted export leaves no half a file."""
    if path.exists():
        return
    print(f"writing {path.name}", flush=True)
    temporary = path.with_name("new." + path.name)
    write(temporary)
    os.replace(temporary, path)


def to_onnx(module, inputs, names, outputs):
    def write(path):
        axes = {name: {0: "n"} for name in [*names, *outputs]}
        with warnings.catch_warnings():
            # The exporter over TorchScript: it needs no further package, and its graphs are what both runtimes' fusions
            # were written for.
            warnings.simplefilter("ignore")
            torch.onnx.export(module.eval(), inputs, str(path), input_names=names, output_names=outputs,
                              dynamic_axes=axes, opset_version=OPSET, dynamo=False)

    return write


def to_openvino(onnx):
    def write(path):
        import openvino

        # The weights' file carries the graph's name, so it cannot have a temporary one; the .xml, renamed last, tells
        # that both are complete.
        final = path.with_name(path.name.removeprefix("new."))
        openvino.save_model(openvino.Core().read_model(onnx), final, compress_to_fp16=False)
        os.replace(final, path)

    return write


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--small", action="store_true")
    o = parser.parse_args()
    o.cache.mkdir(parents=True, exist_ok=True)

    image = torch.from_numpy(rows.image(1, o.image_size))
    latent = torch.from_numpy(rows.latent(1, o.image_size))
    t = torch.from_numpy(rows.times(1))
    unet = set_hash_weights(UNet(UNetConfig(**rows.UNET[o.small])), "unet.")
    vae = set_hash_weights(AutoencoderKL(VaeConfig(**rows.VAE[o.small])), "vae.")
    resnet = set_hash_weights(ResNet34(), "resnet34.").eval()
    with torch.inference_mode():
        f2, f3 = resnet(image)[1:]
    for name, net in (("unet", unet), ("vae", vae), ("resnet34", resnet)):
        written(o.cache / f"{name}.pt", lambda path, net=net: torch.save(net.state_dict(), path))

    anomaly_map = AnomalyMap(o.image_size, rows.LATENT_RANGE, rows.FEATURE_RANGE)
    maps = ["z0", "repaired_z", "seen2", "seen3", "expected2", "expected3"]
    for name, module, inputs, names, outputs in (
            ("unet", unet, (latent, t), ["x", "t"], ["eps"]),
            ("vae_encoder", Encode(vae), (image,), ["x"], ["z"]),
            ("vae_decoder", Decode(vae), (latent,), ["z"], ["image"]),
            ("resnet34", resnet, (image,), ["x"], ["f1", "f2", "f3"]),
            ("map", anomaly_map, (latent, 0.5 * latent, f2, f3, f2, f3), maps, ["score", "map"])):
        onnx = o.cache / f"{name}.onnx"
        written(onnx, to_onnx(module, inputs, names, outputs))
        written(o.cache / f"{name}.xml", to_openvino(onnx))


if __name__ == "__main__":
    main()
