"""The networks d3ad knows: every tensor's name and shape at any size, and which of them a file holds.

    resnet("resnet34").shapes                    # {"conv1.weight": (64, 3, 7, 7), ...}
    autoencoder_kl([128, 256, 512, 512], layers=2, latent=4)

Names are d3ad's own (naming.py knows the others). Which network a file holds: recognise.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

RESNETS = {  # bottleneck, blocks of each layer, factor of a bottleneck's inner width
    "resnet18": (False, (2, 2, 2, 2), 1),
    "resnet34": (False, (3, 4, 6, 3), 1),
    "resnet50": (True, (3, 4, 6, 3), 1),
    "resnet101": (True, (3, 4, 23, 3), 1),
    "wide_resnet50_2": (True, (3, 4, 6, 3), 2),
    "wide_resnet101_2": (True, (3, 4, 23, 3), 2),
}


@dataclass
class Network:
    name: str
    config: dict[str, Any]
    shapes: Shapes
    optional: tuple[str, ...] = field(default=())  # beginnings of names that may be missing, all of them or none


def _norm(s: Shapes, name: str, channels: int, running: bool = False) -> None:
    s[f"{name}.weight"] = s[f"{name}.bias"] = (channels,)
    if running:
        s[f"{name}.running_mean"] = s[f"{name}.running_var"] = (channels,)


def _conv(s: Shapes, name: str, out: int, into: int, kernel: int = 3, bias: bool = True) -> None:
    s[f"{name}.weight"] = (out, into, kernel, kernel)
    if bias:
        s[f"{name}.bias"] = (out,)


def _linear(s: Shapes, name: str, out: int, into: int, axes: Shape = ()) -> None:
    s[f"{name}.weight"] = (out, into, *axes)
    s[f"{name}.bias"] = (out,)


def resnet(name: str, width: int = 64, classes: int = 1000) -> Network:
    bottleneck, blocks, factor = RESNETS[name]
    s: Shapes = {}
    expansion = 4 if bottleneck else 1
    _conv(s, "conv1", width, 3, 7, bias=False)
    _norm(s, "bn1", width, running=True)
    into = width
    for layer, count in enumerate(blocks):
        for b in range(count):
            at = f"layer{layer + 1}.{b}"
            own, out = width << layer, (width << layer) * expansion
            inner = own * factor
            convs = [(inner, into, 1), (inner, inner, 3), (out, inner, 1)] if bottleneck else [(out, into, 3), (out, out, 3)]
            for i, (to, frm, kernel) in enumerate(convs):
                _conv(s, f"{at}.conv{i + 1}", to, frm, kernel, bias=False)
                _norm(s, f"{at}.bn{i + 1}", to, running=True)
            if into != out or (layer > 0 and b == 0):
                _conv(s, f"{at}.downsample.0", out, into, 1, bias=False)
                _norm(s, f"{at}.downsample.1", out, running=True)
            into = out
    _linear(s, "fc", classes, into)
    config = {"architecture": name, "width": width, "classes": classes}
    return Network(name, config, s, ("layer4.", "fc."))


def _vae_resnet(s: Shapes, at: str, into: int, out: int) -> None:
    _norm(s, f"{at}.norm1", into)
    _conv(s, f"{at}.conv1", out, into)
    _norm(s, f"{at}.norm2", out)
    _conv(s, f"{at}.conv2", out, out)
    if into != out:
        _conv(s, f"{at}.conv_shortcut", out, into, 1)


def _vae_middle(s: Shapes, at: str, channels: int) -> None:
    _vae_resnet(s, f"{at}.resnets.0", channels, channels)
    _norm(s, f"{at}.attentions.0.group_norm", channels)
    for part in ("to_q", "to_k", "to_v", "to_out.0"):
        _linear(s, f"{at}.attentions.0.{part}", channels, channels)
    _vae_resnet(s, f"{at}.resnets.1", channels, channels)


def autoencoder_kl(channels: list[int], layers: int, latent: int) -> Network:
    s: Shapes = {}
    _conv(s, "encoder.conv_in", channels[0], 3)
    at = channels[0]
    for b, out in enumerate(channels):
        for i in range(layers):
            _vae_resnet(s, f"encoder.down_blocks.{b}.resnets.{i}", at, out)
            at = out
        if b + 1 < len(channels):
            _conv(s, f"encoder.down_blocks.{b}.downsamplers.0.conv", at, at)
    _vae_middle(s, "encoder.mid_block", at)
    _norm(s, "encoder.conv_norm_out", at)
    _conv(s, "encoder.conv_out", 2 * latent, at)
    _conv(s, "quant_conv", 2 * latent, 2 * latent, 1)
    _conv(s, "post_quant_conv", latent, latent, 1)
    _conv(s, "decoder.conv_in", at, latent)
    _vae_middle(s, "decoder.mid_block", at)
    for b, out in enumerate(reversed(channels)):
        for i in range(layers + 1):
            _vae_resnet(s, f"decoder.up_blocks.{b}.resnets.{i}", at, out)
            at = out
        if b + 1 < len(channels):
            _conv(s, f"decoder.up_blocks.{b}.upsamplers.0.conv", at, at)
    _norm(s, "decoder.conv_norm_out", at)
    _conv(s, "decoder.conv_out", 3, at)
    config = {"block_out_channels": channels, "layers_per_block": layers, "latent_channels": latent}
    return Network("AutoencoderKL", config, s)


def tiny_autoencoder(latent: int = 4, width: int = 64, pool: bool = False) -> Network:
    s: Shapes = {}

    def block(at: str, with_pool: bool) -> None:
        for i in (0, 2, 4):
            _conv(s, f"{at}.conv.{i}", width, width)
        if with_pool:
            _conv(s, f"{at}.pool.0", 4 * width, width, 1, bias=False)
            _norm(s, f"{at}.pool.1", 4 * width)
            _conv(s, f"{at}.pool.3", width, 4 * width, 1, bias=False)

    _conv(s, "encoder.0", width, 3)
    block("encoder.1", False)
    for level in range(3):
        _conv(s, f"encoder.{2 + 4 * level}", width, width, bias=False)
        for i in range(3):
            block(f"encoder.{3 + 4 * level + i}", pool and level == 2)
    _conv(s, "encoder.14", latent, width)
    _conv(s, "decoder.1", width, latent)
    for level in range(3):
        for i in range(3):
            block(f"decoder.{3 + 5 * level + i}", pool and level == 0)
        _conv(s, f"decoder.{7 + 5 * level}", width, width, bias=False)
    block("decoder.18", False)
    _conv(s, "decoder.19", 3, width)
    config = {"architecture": "tae", "latent_channels": latent, "midblock_group_norm": pool, "width": width}
    return Network("AutoencoderTiny", config, s)


def unet(channels: int, base: int, mults: list[int], nres: int, attn: list[int], heads: int = 8) -> Network:
    s: Shapes = {}

    def block(at: str, into: int, out: int) -> None:
        _norm(s, f"{at}.in_layers.0", into)
        _conv(s, f"{at}.in_layers.2", out, into)
        _linear(s, f"{at}.embed_layers.1", out, 4 * base)
        _norm(s, f"{at}.out_layers.0", out)
        _conv(s, f"{at}.out_layers.3", out, out)
        if into != out:
            _conv(s, f"{at}.skip_connection", out, into, 1)

    def attention(at: str, width: int) -> None:
        _norm(s, f"{at}.norm", width)
        _linear(s, f"{at}.to_qkv", 3 * width, width, (1,))
        _linear(s, f"{at}.proj_out", width, width, (1,))

    _linear(s, "time_embedding.1", 4 * base, base)
    _linear(s, "time_embedding.3", 4 * base, 4 * base)
    now, factor, index = mults[0] * base, 1, 1
    _conv(s, "down.0.0", now, channels)
    skips = [now]
    for level, mult in enumerate(mults):
        for _ in range(nres):
            block(f"down.{index}.0", now, mult * base)
            now = mult * base
            if factor in attn:
                attention(f"down.{index}.1", now)
            skips.append(now)
            index += 1
        if level + 1 < len(mults):
            block(f"down.{index}.0", now, now)
            skips.append(now)
            index += 1
            factor *= 2
    block("middle.0", now, now)
    attention("middle.1", now)
    block("middle.2", now, now)
    index = 0
    for level in reversed(range(len(mults))):
        for i in range(nres + 1):
            block(f"up.{index}.0", now + skips.pop(), mults[level] * base)
            now = mults[level] * base
            layer = 1
            if factor in attn:
                attention(f"up.{index}.1", now)
                layer = 2
            if level > 0 and i == nres:
                block(f"up.{index}.{layer}", now, now)
                factor //= 2
            index += 1
    _norm(s, "out.0", now)
    _conv(s, "out.2", channels, now)
    config = {"channels": channels, "base": base, "mults": mults, "nres": nres, "attn": attn, "heads": heads}
    return Network("D3AD UNet", config, s)
