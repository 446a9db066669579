"""The networks as plain PyTorch modules, their parameters named as in the checkpoints, and the anomaly map.

    unet = UNet(UNetConfig())                 eps = unet(x, t)            x [n, 4, h, w], t [n]
    vae = AutoencoderKL(VaeConfig())          z = vae.encode(x)           the scaled mean; vae.decode(z)
    resnet = ResNet34()                       f1, f2, f3 = resnet(x)      x in [-1, 1]
    score, maps = AnomalyMap(256)(z0, repaired_z, seen2, seen3, expected2, expected3)

Written for speed within what PyTorch offers (channels-last activations make every transposition around attention a
view, scaled_dot_product_attention) and so that torch.onnx.export finds a plain graph. check_networks.py compares them
with tests/golden.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class UNetConfig:
    base: int = 192
    mults: tuple = (1, 2, 2, 4, 4)
    nres: int = 2  # residual blocks a level
    attn: tuple = (1, 2, 4, 8)  # downsampling factors with attention
    heads: int = 8
    channels: int = 4


@dataclass(frozen=True)
class VaeConfig:
    block_out_channels: tuple = (128, 256, 512, 512)
    layers_per_block: int = 2
    latent_channels: int = 4
    norm_groups: int = 32
    scaling_factor: float = 0.18215


def tokens(x):
    """[n, c, h, w] -> [n, h w, c]"""
    return x.flatten(2).transpose(1, 2)


def pixels(y, x):
    """[n, h w, c] -> the shape of x"""
    return y.transpose(1, 2).reshape(-1, y.shape[2], x.shape[2], x.shape[3])


# ---- UNet ----


class Sinusoids(nn.Module):
    def __init__(self, dim):
        super().__init__()
        half = dim // 2
        steps = torch.arange(half, dtype=torch.float64, device="cpu")  # real even where the module is built on "meta"
        frequencies = torch.exp(-math.log(10000.0) * steps / half)
        self.register_buffer("frequencies", frequencies.float(), persistent=False)

    def forward(self, t):
        angles = t.float()[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class ResBlock(nn.Module):
    def __init__(self, channels, out, time, resample=None):
        super().__init__()
        self.resample = resample
        self.in_layers = nn.Sequential(nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1))
        self.embed_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, out))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, out), nn.SiLU(), nn.Identity(), nn.Conv2d(out, out, 3, padding=1))
        self.skip_connection = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()

    def resized(self, x):
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        if self.resample == "up":
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        return x

    def forward(self, x, time):
        h = self.in_layers[2](self.resized(self.in_layers[:2](x)))
        h = h + self.embed_layers(time)[:, :, None, None]
        return self.out_layers(h) + self.skip_connection(self.resized(x))


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.channels, self.heads = channels, heads
        self.norm = nn.GroupNorm(32, channels)
        self.to_qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x):
        h = F.linear(tokens(self.norm(x)), self.to_qkv.weight[:, :, 0], self.to_qkv.bias)
        # The channels are ordered head by head as (q, k, v).
        h = h.reshape(-1, h.shape[1], self.heads, 3 * (self.channels // self.heads)).transpose(1, 2)
        q, k, v = h.chunk(3, dim=3)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        h = h.reshape(-1, h.shape[1], self.channels)
        return x + pixels(F.linear(h, self.proj_out.weight[:, :, 0], self.proj_out.bias), x)


class Block(nn.Sequential):
    def forward(self, x, time):
        for layer in self:
            x = layer(x, time) if isinstance(layer, ResBlock) else layer(x)
        return x


class UNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        time = 4 * c.base
        self.time_embedding = nn.Sequential(
            Sinusoids(c.base), nn.Linear(c.base, time), nn.SiLU(), nn.Linear(time, time))
        channels, factor = c.mults[0] * c.base, 1
        self.down = nn.ModuleList([Block(nn.Conv2d(c.channels, channels, 3, padding=1))])
        skips = [channels]
        for level, mult in enumerate(c.mults):
            for _ in range(c.nres):
                layers = [ResBlock(channels, mult * c.base, time)]
                channels = mult * c.base
                if factor in c.attn:
                    layers.append(Attention(channels, c.heads))
                self.down.append(Block(*layers))
                skips.append(channels)
            if level + 1 < len(c.mults):
                self.down.append(Block(ResBlock(channels, channels, time, "down")))
                skips.append(channels)
                factor *= 2
        self.middle = Block(ResBlock(channels, channels, time), Attention(channels, c.heads),
                            ResBlock(channels, channels, time))
        self.up = nn.ModuleList()
        for level, mult in reversed(list(enumerate(c.mults))):
            for i in range(c.nres + 1):
                layers = [ResBlock(channels + skips.pop(), mult * c.base, time)]
                channels = mult * c.base
                if factor in c.attn:
                    layers.append(Attention(channels, c.heads))
                if level > 0 and i == c.nres:
                    layers.append(ResBlock(channels, channels, time, "up"))
                    factor //= 2
                self.up.append(Block(*layers))
        self.out = nn.Sequential(nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, c.channels, 3, padding=1))

    def forward(self, x, t):
        time = self.time_embedding(t)
        skips = []
        for block in self.down:
            x = block(x, time)
            skips.append(x)
        x = self.middle(x, time)
        for block in self.up:
            x = block(torch.cat([x, skips.pop()], dim=1), time)
        return self.out(x)


# ---- AutoencoderKL ----


class VaeResBlock(nn.Module):
    def __init__(self, channels, out, groups):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, eps=1e-6)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out, eps=1e-6)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        if channels != out:
            self.conv_shortcut = nn.Conv2d(channels, out, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class VaeAttention(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x):
        h = tokens(self.group_norm(x))[:, None]  # one head
        h = F.scaled_dot_product_attention(self.to_q(h), self.to_k(h), self.to_v(h))
        return x + pixels(self.to_out[0](h[:, 0]), x)


class VaeMiddle(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.resnets = nn.ModuleList([VaeResBlock(channels, channels, groups) for _ in range(2)])
        self.attentions = nn.ModuleList([VaeAttention(channels, groups)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Resample(nn.Module):
    def __init__(self, channels, up):
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if up else nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        if self.up:
            return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.conv(F.pad(x, (0, 1, 0, 1)))  # right and bottom


class VaeLevel(nn.Module):
    def __init__(self, channels, out, layers, groups, resample):
        super().__init__()
        self.resnets = nn.ModuleList([VaeResBlock(channels if i == 0 else out, out, groups) for i in range(layers)])
        if resample:
            setattr(self, resample + "samplers", nn.ModuleList([Resample(out, resample == "up")]))

    def forward(self, x):
        for resnet in self.resnets:
            x = resnet(x)
        for sampler in getattr(self, "downsamplers", getattr(self, "upsamplers", ())):
            x = sampler(x)
        return x


class Encoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        widths = c.block_out_channels
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            [VaeLevel(widths[max(i - 1, 0)], width, c.layers_per_block, c.norm_groups,
                      "down" if i + 1 < len(widths) else None) for i, width in enumerate(widths)])
        self.mid_block = VaeMiddle(widths[-1], c.norm_groups)
        self.conv_norm_out = nn.GroupNorm(c.norm_groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 2 * c.latent_channels, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        widths = c.block_out_channels[::-1]
        self.conv_in = nn.Conv2d(c.latent_channels, widths[0], 3, padding=1)
        self.mid_block = VaeMiddle(widths[0], c.norm_groups)
        self.up_blocks = nn.ModuleList(
            [VaeLevel(widths[max(i - 1, 0)], width, c.layers_per_block + 1, c.norm_groups,
                      "up" if i + 1 < len(widths) else None) for i, width in enumerate(widths)])
        self.conv_norm_out = nn.GroupNorm(c.norm_groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z):
        x = self.mid_block(self.conv_in(z))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class AutoencoderKL(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.config = c
        self.encoder = Encoder(c)
        self.quant_conv = nn.Conv2d(2 * c.latent_channels, 2 * c.latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(c.latent_channels, c.latent_channels, 1)
        self.decoder = Decoder(c)

    def moments(self, x):
        return self.quant_conv(self.encoder(x))

    def encode(self, x):
        """The posterior's mean, scaled to what the diffusion works on."""
        return self.moments(x)[:, :self.config.latent_channels] * self.config.scaling_factor

    def decode(self, z):
        return self.decoder(self.post_quant_conv(z * (1.0 / self.config.scaling_factor)))


# One method of a module as a module of its own, for export and compilation.
class Encode(nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, x):
        return self.vae.encode(x)


class Decode(nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, z):
        return self.vae.decode(z)


# ---- ResNet-34 ----


class BasicBlock(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False),
                                            nn.BatchNorm2d(out))

    def forward(self, x):
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        h += x if self.downsample is None else self.downsample(x)
        return F.relu(h, inplace=True)


class ResNet34(nn.Module):
    """Outputs of layer1, layer2 and layer3 for x in [-1, 1]; normalises by ImageNet's mean and deviation itself."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1, self.layer2, self.layer3 = self.layer(64, 64, 3), self.layer(64, 128, 4), self.layer(128, 256, 6)
        mean = torch.tensor([0.485, 0.456, 0.406], device="cpu")[None, :, None, None]
        deviation = torch.tensor([0.229, 0.224, 0.225], device="cpu")[None, :, None, None]
        self.register_buffer("scale", 0.5 / deviation, persistent=False)
        self.register_buffer("shift", (0.5 - mean) / deviation, persistent=False)

    @staticmethod
    def layer(channels, out, blocks):
        stride = 1 if channels == out else 2
        return nn.Sequential(BasicBlock(channels, out, stride), *[BasicBlock(out, out, 1) for _ in range(blocks - 1)])

    def features(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, stride=2, padding=1)
        f1 = self.layer1(x)
        f2 = self.layer2(f1)
        return f1, f2, self.layer3(f2)

    def forward(self, x):
        return self.features(x * self.scale + self.shift)

    def fold_norms(self):
        """For inference: the norms become part of the convolutions, as the other frameworks do when they load."""
        fuse = nn.utils.fusion.fuse_conv_bn_eval
        self.conv1, self.bn1 = fuse(self.conv1, self.bn1), nn.Identity()
        for layer in (self.layer1, self.layer2, self.layer3):
            for block in layer:
                block.conv1, block.bn1 = fuse(block.conv1, block.bn1), nn.Identity()
                block.conv2, block.bn2 = fuse(block.conv2, block.bn2), nn.Identity()
                if block.downsample is not None:
                    block.downsample = fuse(block.downsample[0], block.downsample[1])
        return self


# ---- anomaly map ----


class AnomalyMap(nn.Module):
    """Both maps, mixed by fixed ranges and blurred; the score is the maximum. Outputs score [n], map [n, 1, s, s]."""

    def __init__(self, size, latent_range=(0.0, 1.0), feature_range=(0.0, 1.0), weight=0.85, sigma=4.0):
        super().__init__()
        self.size, self.weight = size, weight
        self.latent_range, self.feature_range = latent_range, feature_range
        self.radius = int(4 * sigma + 0.5)
        taps = torch.exp(-torch.arange(-self.radius, self.radius + 1, dtype=torch.float64)**2 / (2 * sigma**2))
        taps = (taps / taps.sum()).float()
        self.register_buffer("vertical", taps[None, None, :, None], persistent=False)
        self.register_buffer("horizontal", taps[None, None, None, :], persistent=False)

    def enlarged(self, x):
        return F.interpolate(x, size=(self.size, self.size), mode="bilinear", align_corners=True)

    def raw(self, z0, repaired_z, seen, expected):
        latent = self.enlarged((repaired_z - z0).abs().mean(dim=1, keepdim=True))
        feature = sum(self.enlarged(1 - F.cosine_similarity(a, b, dim=1, eps=1e-8)[:, None])
                      for a, b in zip(seen, expected))
        return latent, feature

    def mixed(self, latent, feature):
        (a, b), (c, d) = self.latent_range, self.feature_range
        m = (latent - a) * (self.weight / (b - a)) + (feature - c) * ((1 - self.weight) / (d - c))
        m = F.pad(m, (self.radius,) * 4, mode="reflect")
        return F.conv2d(F.conv2d(m, self.vertical), self.horizontal)

    def forward(self, z0, repaired_z, seen2, seen3, expected2, expected3):
        m = self.mixed(*self.raw(z0, repaired_z, (seen2, seen3), (expected2, expected3)))
        return m.amax(dim=(1, 2, 3)), m
