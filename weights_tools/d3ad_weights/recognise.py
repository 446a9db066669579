"""Which known network a file's tensors are, and whether they are all there.

    found = recognise(checkpoint.tensors, "x.pth")     # Refusal where it is unknown, or a tensor is missing or too many
    found.network.name, found.spelling, found.tensors  # by the names they have in the file, prefix taken off
    found.own                                          # d3ad's name of each
    found.set_aside                                    # how many tensors of the file are of another network

include/d3ad/models/recognise.hpp does the same in C++; tests/golden/recognise.json is the table on which both are tested.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from . import architectures as known
from .architectures import Network
from .naming import Spelling, decoder_levels, spelling_of, to_own
from .refusal import Refusal, nearest, printable
from .safetensors_file import Tensor, Tensors

SHOWN = 5  # names that a refusal lists of those that are missing, and of those too many


@dataclass
class Recognised:
    network: Network
    spelling: Spelling
    tensors: Tensors
    own: dict[str, str]
    levels: int
    set_aside: int


class Sizes:
    """Looks at single axes of tensors by their own names; Refusal names what is not there."""

    def __init__(self, tensors: Mapping[str, Tensor], source: str) -> None:
        self.tensors, self.source = tensors, source

    def __call__(self, name: str, axis: int) -> int:
        if name not in self.tensors:
            raise Refusal(f"'{self.source}': '{name}' is missing{nearest(self.tensors, name)}")
        shape = self.tensors[name].shape
        if len(shape) <= axis or not 1 <= shape[axis] <= 1 << 20:
            raise Refusal(f"'{self.source}': '{name}' has the unexpected shape {list(shape)}")
        return shape[axis]

    def count(self, pattern: str) -> int:
        """How many of pattern.format(0), pattern.format(1), ... there are."""
        n = 0
        while pattern.format(n) in self.tensors and n < 1000:
            n += 1
        return n


def _resnet(at: Sizes) -> Network:
    bottleneck = "layer1.0.conv3.weight" in at.tensors
    width = at("bn1.weight", 0)
    inner = at("layer1.0.conv1.weight", 0)
    blocks = tuple(at.count(f"layer{layer}.{{}}.conv1.weight") for layer in (1, 2, 3, 4))
    factor = max(1, inner // width) if bottleneck else 1
    for name, (is_bottleneck, counts, known_factor) in known.RESNETS.items():
        same = counts == blocks or (blocks[3] == 0 and counts[:3] == blocks[:3])
        if same and is_bottleneck == bottleneck and known_factor == factor:
            # A reduced classifier (timm with num_classes=0, features only) has no fc, or no layer4 before it.
            network = known.resnet(name, width, at("fc.weight", 0) if "fc.weight" in at.tensors else 1000)
            if "fc.weight" not in at.tensors or blocks[3] == 0:
                network.config["classes"] = 0
            return network

    def distance(name: str) -> int:
        is_bottleneck, counts, known_factor = known.RESNETS[name]
        apart = sum(abs(a - b) for a, b in zip(counts, blocks))
        return apart + 10 * abs(known_factor - factor) + 100 * (is_bottleneck != bottleneck)

    raise Refusal(
        f"'{at.source}' is a ResNet of {'-'.join(map(str, blocks))} {'bottleneck' if bottleneck else 'basic'} blocks, "
        f"an unknown architecture; the nearest known is {min(known.RESNETS, key=distance)}"
    )


def _vae(at: Sizes) -> Network:
    levels = at.count("encoder.down_blocks.{}.resnets.0.conv2.weight")
    channels = [at(f"encoder.down_blocks.{b}.resnets.0.conv2.weight", 0) for b in range(levels)]
    if not channels:
        raise Refusal(f"'{at.source}': 'encoder.down_blocks.0.resnets.0.conv2.weight' is missing")
    layers = at.count("encoder.down_blocks.0.resnets.{}.conv2.weight")
    return known.autoencoder_kl(channels, layers, at("decoder.conv_in.weight", 1))


def _tiny_vae(at: Sizes) -> Network:
    pool = "encoder.11.pool.0.weight" in at.tensors
    return known.tiny_autoencoder(at("encoder.14.weight", 0), at("encoder.14.weight", 1), pool)


def _unet(at: Sizes) -> Network:
    base = at("time_embedding.1.weight", 1)
    ups = at.count("up.{}.0.in_layers.2.weight")
    # The last block of the first level of the way up is the first that has a second residual block.
    ends = [i for i in range(ups) for j in (1, 2) if f"up.{i}.{j}.in_layers.2.weight" in at.tensors]
    nres = ends[0] if ends else ups - 1
    if nres < 1 or ups % (nres + 1):
        raise Refusal(f"'{at.source}' is a UNet of {ups} up blocks, an unknown architecture; the nearest is D3AD's UNet")
    if base % 32:
        raise Refusal(f"'{at.source}' is a UNet of base {base}, expected a multiple of 32 (32 groups are normalised)")
    mults, attn = [], []
    for level in range(ups // (nres + 1)):
        index = 1 + level * (nres + 1)
        mults.append(max(1, at(f"down.{index}.0.in_layers.2.weight", 0) // base))
        if f"down.{index}.1.to_qkv.weight" in at.tensors:
            attn.append(1 << level)
    return known.unet(at("down.0.0.weight", 1), base, mults, nres, attn)


def _skeleton(names: Mapping[str, object]) -> set[str]:
    return {re.sub(r"[0-9]+", "#", name) for name in names}


def _unknown(tensors: Mapping[str, Tensor], source: str) -> Refusal:
    candidates = [*map(known.resnet, known.RESNETS), known.autoencoder_kl([128, 256, 512, 512], 2, 4)]
    candidates += [known.tiny_autoencoder(), known.unet(4, 192, [1, 2, 2, 4, 4], 2, [1, 2, 4, 8])]
    mine = _skeleton(tensors)

    def likeness(network: Network) -> float:
        theirs = _skeleton(network.shapes)
        return len(mine & theirs) / max(1, len(mine | theirs)) - 1e-6 * abs(len(tensors) - len(network.shapes))

    best = max(candidates, key=likeness)
    names = ", ".join(sorted({network.name for network in candidates}))
    first = min(tensors, default="")
    return Refusal(
        f"'{source}' holds {len(tensors)} tensors of an unknown architecture (the first is '{printable(first)}'); "
        f"the nearest known is {best.name}, known are {names}"
    )


def _listed(names: list[str], others: list[str]) -> str:
    shown = "; ".join(f"'{printable(name)}'{nearest(others, name)}" for name in names[:SHOWN])
    return shown + (f"; and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _same(have: tuple[int, ...], want: tuple[int, ...]) -> bool:
    """Whether they are equal up to axes of length 1 at the end: a matrix may be stored as a 1x1 convolution."""
    longer, shorter = sorted((have, want), key=len, reverse=True)
    return longer == shorter + (1,) * (len(longer) - len(shorter))


def check(network: Network, own: Mapping[str, Tensor], source: str) -> None:
    """Every tensor there, none too many, each of its shape; all that is wrong in one sentence."""
    absent = {group for group in network.optional if not any(name.startswith(group) for name in own)}
    wanted = {name: s for name, s in network.shapes.items() if not any(name.startswith(group) for group in absent)}
    missing = sorted(set(wanted) - set(own))
    extra = sorted(name for name in set(own) - set(wanted) if not name.endswith(".num_batches_tracked"))
    wrong = [f"'{n}' is {list(own[n].shape)}, expected {list(s)}" for n, s in wanted.items()
             if n in own and not _same(own[n].shape, s)]  # fmt: skip
    parts = []
    if missing:
        parts.append(f"{len(missing)} tensors are missing: {_listed(missing, extra or sorted(own))}")
    if extra:
        parts.append(f"{len(extra)} tensors are too many: {_listed(extra, missing or sorted(wanted))}")
    if wrong:
        parts.append(f"{len(wrong)} tensors are of another shape: {'; '.join(wrong[:SHOWN])}")
    if parts:
        raise Refusal(f"'{source}' looks like {network.name}, but is not: {' | '.join(parts)}")


def recognise(tensors: Tensors, source: str) -> Recognised:
    if any(name.endswith("decoder_unet.conv_in.weight") for name in tensors):
        raise Refusal(
            f"'{source}' is OpenAI's consistency decoder (diffusers' ConsistencyDecoderVAE), which d3ad does not support; "
            "take the VAE whose latents it decodes, Stable Diffusion's"
        )
    spelling = spelling_of(tensors)
    if spelling is None:
        raise _unknown(tensors, source)
    inside = {n[len(spelling.prefix) :]: t for n, t in tensors.items() if n.startswith(spelling.prefix)}
    outside = len(tensors) - len(inside)
    if spelling.family == "vae":
        # What training an autoencoder leaves beside it: its discriminator, averages under names of their own.
        parts = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
        own_parts = {n: t for n, t in inside.items() if n.startswith(parts) or not n.startswith(("loss.", "model_ema."))}
        outside += len(inside) - len(own_parts)
        inside = own_parts
    elif outside:
        stray = sorted(n for n in tensors if not n.startswith(spelling.prefix))
        raise Refusal(f"'{source}': {outside} names do not begin with '{spelling.prefix}' as the others do: "
                      f"{_listed(stray, [])}")  # fmt: skip
    levels = decoder_levels(inside)
    own = {name: to_own(spelling.family, spelling.spelling, name, levels) for name in inside}
    under_own: Tensors = {}
    for name, mapped in own.items():
        if mapped in under_own:
            raise Refusal(f"'{source}' holds '{printable(mapped)}' twice, in two spellings")
        under_own[mapped] = inside[name]
    infer = {"resnet": _resnet, "vae": _vae, "tiny_vae": _tiny_vae, "unet": _unet}[spelling.family]
    network = infer(Sizes(under_own, source))
    check(network, under_own, source)
    return Recognised(network, spelling, inside, own, levels, outside)
