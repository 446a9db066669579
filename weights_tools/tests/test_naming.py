"""The table of names, both ways, for every tensor of every network; and what a file of weights is recognised as."""

from __future__ import annotations

from math import prod

import pytest

from conftest import family, tensors_of, zeros
from d3ad_weights import architectures as known
from d3ad_weights.architectures import Network
from d3ad_weights.naming import SPELLINGS, WRAPPERS, decoder_levels, from_own, to_own
from d3ad_weights.recognise import recognise
from d3ad_weights.refusal import Refusal

SMALL_VAE = known.autoencoder_kl([32, 64, 64], 2, 4)
NETWORKS = [
    *(known.resnet(name, width=8, classes=10) for name in known.RESNETS),
    SMALL_VAE,
    known.autoencoder_kl([32, 32, 64, 64], 1, 8),
    known.tiny_autoencoder(width=8),
    known.tiny_autoencoder(latent=32, width=8, pool=True),
    known.unet(4, 32, [1, 2, 2], 2, [2, 4]),
    known.unet(32, 32, [1, 1], 1, [1]),
]
SPELT = [(n, s) for n in NETWORKS for s in SPELLINGS[family(n)]]


def numbers(network: Network) -> int:
    return sum(prod(shape) for name, shape in network.shapes.items() if "running_" not in name)


def test_the_published_sizes() -> None:
    published = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032, "resnet101": 44_549_160,
                 "wide_resnet50_2": 68_883_240, "wide_resnet101_2": 126_886_696}  # fmt: skip
    assert {name: numbers(known.resnet(name)) for name in known.RESNETS} == published
    assert numbers(known.autoencoder_kl([128, 256, 512, 512], 2, 4)) == 83_653_863
    assert numbers(known.tiny_autoencoder()) == 2_445_063


@pytest.mark.parametrize(("network", "spelling"), SPELT)
def test_every_name_goes_both_ways(network: Network, spelling: str) -> None:
    levels = decoder_levels(network.shapes)
    theirs = {name: from_own(family(network), spelling, name, levels) for name in network.shapes}
    assert len(set(theirs.values())) == len(theirs)
    assert {to_own(family(network), spelling, name, levels) for name in theirs.values()} == set(network.shapes)
    for own, name in theirs.items():
        assert to_own(family(network), spelling, name, levels) == own
    if spelling != SPELLINGS[family(network)][0]:
        assert theirs != {name: name for name in theirs}


def test_names_as_they_are_published() -> None:
    for theirs, ours in {
        "decoder.up.3.block.0.nin_shortcut.weight": "decoder.up_blocks.0.resnets.0.conv_shortcut.weight",
        "decoder.up.0.block.2.norm2.bias": "decoder.up_blocks.3.resnets.2.norm2.bias",
        "decoder.up.1.upsample.conv.weight": "decoder.up_blocks.2.upsamplers.0.conv.weight",
        "encoder.down.2.downsample.conv.weight": "encoder.down_blocks.2.downsamplers.0.conv.weight",
        "encoder.mid.attn_1.proj_out.weight": "encoder.mid_block.attentions.0.to_out.0.weight",
        "decoder.mid.block_2.conv1.weight": "decoder.mid_block.resnets.1.conv1.weight",
        "encoder.norm_out.bias": "encoder.conv_norm_out.bias",
    }.items():
        assert to_own("vae", "compvis", theirs, 4) == ours
    assert to_own("vae", "diffusers-old", "encoder.mid_block.attentions.0.query.bias", 4).endswith("to_q.bias")
    assert to_own("tiny_vae", "diffusers", "decoder.layers.0.weight", 0) == "decoder.1.weight"
    assert from_own("tiny_vae", "diffusers", "decoder.0.weight", 0) == "decoder.0.weight"  # TAESD's clamp has no layer
    assert to_own("vae", "compvis", "decoder.up.4.block.0.conv1.weight", 4) == "decoder.up.4.block.0.conv1.weight"


@pytest.mark.parametrize(("network", "spelling"), SPELT)
@pytest.mark.parametrize("prefix", ["", *WRAPPERS, "module.model.", "model.first_stage_model."])
def test_every_network_is_recognised(network: Network, spelling: str, prefix: str) -> None:
    found = recognise(tensors_of(network, spelling, prefix), "x.pth")
    assert (found.network.name, found.spelling.prefix) == (network.name, prefix)
    assert found.network.shapes == network.shapes
    assert set(found.own.values()) == set(network.shapes)
    assert found.spelling.spelling == spelling


def test_what_lies_beside_an_autoencoder_is_set_aside() -> None:
    tensors = tensors_of(SMALL_VAE, "compvis", "first_stage_model.")
    own = len(tensors)
    for name in ("model.diffusion_model.out.weight", "first_stage_model.loss.logvar", "first_stage_model.model_ema.x"):
        tensors[name] = zeros([2])
    found = recognise(tensors, "sd.ckpt")
    assert (len(found.tensors), found.set_aside) == (own, 3)


def test_a_classifier_may_lack_its_end() -> None:
    whole = known.resnet("resnet50", 8, 10)
    for gone in (("fc.",), ("fc.", "layer4.")):
        tensors = {n: t for n, t in tensors_of(whole, "torchvision").items() if not n.startswith(gone)}
        tensors["bn1.num_batches_tracked"] = zeros([], "I64")
        found = recognise(tensors, "x")
        assert (found.network.name, found.network.config["classes"]) == ("resnet50", 0)


def refused(tensors: dict[str, object], source: str = "x.pth") -> str:
    with pytest.raises(Refusal) as refusal:
        recognise(tensors, source)  # type: ignore[arg-type]
    return str(refusal.value)


def test_missing_extra_and_misshapen_tensors_are_named() -> None:
    tensors: dict[str, object] = dict(tensors_of(known.resnet("resnet18", 8, 10), "torchvision"))
    tensors["layer1.0.bn1.wieght"] = tensors.pop("layer1.0.bn1.weight")
    tensors["layer2.0.conv2.weight"] = zeros([16, 16, 1, 1])
    says = refused(tensors)
    assert "'x.pth' looks like resnet18, but is not" in says
    assert "1 tensors are missing: 'layer1.0.bn1.weight'; the nearest is 'layer1.0.bn1.wieght'" in says
    assert "1 tensors are too many: 'layer1.0.bn1.wieght'; the nearest is 'layer1.0.bn1.weight'" in says
    assert "'layer2.0.conv2.weight' is [16, 16, 1, 1], expected [16, 16, 3, 3]" in says


def test_networks_that_are_not_known_are_refused_with_the_nearest() -> None:
    other: dict[str, object] = {f"features.{i}.weight": zeros([4]) for i in range(9)}
    says = refused(other)
    assert "9 tensors of an unknown architecture (the first is 'features.0.weight')" in says
    assert "known are AutoencoderKL, AutoencoderTiny, D3AD UNet, resnet101" in says
    deeper: dict[str, object] = dict(tensors_of(known.resnet("resnet34", 8, 10), "torchvision"))
    for part in ("conv1", "conv2"):
        deeper[f"layer3.6.{part}.weight"] = zeros([32, 32, 3, 3])
    assert "a ResNet of 3-4-7-3 basic blocks, an unknown architecture; the nearest known is resnet34" in refused(deeper)
    stray: dict[str, object] = dict(tensors_of(known.resnet("resnet18", 8, 10), "torchvision", "module."))
    stray["teacher.conv1.weight"] = zeros([1])
    assert "1 names do not begin with 'module.' as the others do: 'teacher.conv1.weight'" in refused(stray)
    twice: dict[str, object] = dict(tensors_of(SMALL_VAE, "diffusers-old"))
    twice["encoder.mid_block.attentions.0.to_q.weight"] = zeros([64, 64])
    assert "'encoder.mid_block.attentions.0.to_q.weight' twice, in two spellings" in refused(twice)
    assert "0 tensors" in refused({})
    consistency = {name.replace("decoder.", "decoder_unet."): t for name, t in tensors_of(SMALL_VAE, "diffusers").items()}
    assert "OpenAI's consistency decoder (diffusers' ConsistencyDecoderVAE), which d3ad does not" in refused(dict(consistency))
