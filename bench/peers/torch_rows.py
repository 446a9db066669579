"""The rows in PyTorch, on a CPU or a GPU, in one type: what torch_peer.py and bench/gpu/peer.py run.

    rows = TorchRows(network, size=256, device=torch.device("cuda"), dtype=torch.bfloat16, compiled=torch.compile)
    call = rows.call("unet", 8)          call() gives the row's outputs, a tuple

network(name, make) gives the module that make() makes ("unet", "vae", "resnet34"), with its weights, on the device.
Activations are channels last and of `dtype`, batch norms folded, AdamW fused. Time's angles, the loop's latents and the
maps are float in any type, as d3ad's are; training keeps float weights and, in bfloat16, goes by autocast.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

import detection
import rows
from networks import AnomalyMap, AutoencoderKL, Decode, Encode, ResNet34, UNet, UNetConfig, VaeConfig

Call = Callable[[], tuple[torch.Tensor, ...]]
Network = Callable[[str, Callable[[], nn.Module]], nn.Module]
Compiled = Callable[[Callable], Callable]


class FloatAngles(nn.Module):
    """networks.Sinusoids with angles in float; made before the network's type changes, which would round them."""

    def __init__(self, plain: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype
        self.register_buffer("frequencies", plain.frequencies.float(), persistent=False)

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        angles = t[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1).to(self.dtype)


class Typed(nn.Module):
    """A network whose first input is converted to its type."""

    def __init__(self, net: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, x: torch.Tensor, *rest: torch.Tensor):
        return self.net(x.to(self.dtype), *rest)


class FloatMap(nn.Module):
    """The anomaly map, in float."""

    def __init__(self, anomaly_map: nn.Module):
        super().__init__()
        self.map = anomaly_map

    def forward(self, *parts: torch.Tensor):
        return self.map(*[part.float() for part in parts])


def as_it_is(net: Callable) -> Callable:
    return net


@dataclass
class TorchRows:
    network: Network
    size: int
    small: bool = False
    trained: dict | None = None  # UNetConfig of the training step; None: the one of the other rows
    device: torch.device = torch.device("cpu")
    dtype: torch.dtype = torch.float32
    compiled: Compiled = as_it_is  # torch.compile and the like
    kept: Compiled = as_it_is  # around a compiled network whose output has to outlive its next call

    def call(self, row: str, batch: int) -> Call:
        return getattr(self, "_" + row)(batch)

    # ---- networks ----

    def typed(self, net: nn.Module) -> nn.Module:
        return net.eval().requires_grad_(False).to(dtype=self.dtype, memory_format=torch.channels_last)

    def unet(self) -> nn.Module:
        net = self.network("unet", lambda: UNet(UNetConfig(**rows.UNET[self.small])))
        angles = FloatAngles(net.time_embedding[0], self.dtype)
        net = self.typed(net)
        net.time_embedding[0] = angles
        return Typed(net, self.dtype)

    def vae(self) -> tuple[nn.Module, nn.Module]:
        net = self.typed(self.network("vae", lambda: AutoencoderKL(VaeConfig(**rows.VAE[self.small]))))
        return Typed(Encode(net), self.dtype), Typed(Decode(net), self.dtype)

    def resnet(self) -> nn.Module:
        return Typed(self.typed(self.network("resnet34", ResNet34).eval().fold_norms()), self.dtype)

    # ---- inputs ----

    def uploaded(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device).to(memory_format=torch.channels_last)

    def image(self, batch: int) -> torch.Tensor:
        return self.uploaded(rows.image(batch, self.size))

    def latent(self, batch: int, name: str = "input.latent") -> torch.Tensor:
        return self.uploaded(rows.latent(batch, self.size, name))

    def times(self, batch: int) -> torch.Tensor:
        return torch.from_numpy(rows.times(batch)).to(self.device)

    # ---- rows ----

    def _vae_encoder(self, batch: int) -> Call:
        encode, x = self.compiled(self.vae()[0]), self.image(batch)
        return lambda: (encode(x),)

    def _vae_decoder(self, batch: int) -> Call:
        decode, z = self.compiled(self.vae()[1]), self.latent(batch)
        return lambda: (decode(z),)

    def _unet(self, batch: int) -> Call:
        unet, x, t = self.compiled(self.unet()), self.latent(batch), self.times(batch)
        return lambda: (unet(x, t),)

    def _resnet34(self, batch: int) -> Call:
        resnet, x = self.compiled(self.resnet()), self.image(batch)
        return lambda: resnet(x)

    def predictor(self, batch: int) -> Callable[[torch.Tensor, int], torch.Tensor]:
        unet = self.kept(self.compiled(self.unet()))
        times = {t: torch.full((batch,), float(t), device=self.device) for t, *_ in detection.coefficients()[1]}
        return lambda x, t: unet(x, times[t])

    def _loop(self, batch: int) -> Call:
        predict, z = self.predictor(batch), self.latent(batch)
        return lambda: (detection.reconstruct(predict, z),)

    def _detection(self, batch: int) -> Call:
        predict, x = self.predictor(batch), self.image(batch)
        encode, decode = (self.kept(self.compiled(net)) for net in self.vae())
        resnet = self.kept(self.compiled(self.resnet()))
        plain_map = AnomalyMap(self.size, rows.LATENT_RANGE, rows.FEATURE_RANGE)
        anomaly_map = self.kept(self.compiled(FloatMap(plain_map).to(self.device)))
        return lambda: detection.detect(x, lambda x: encode(x).float(), predict, decode, resnet, anomaly_map)

    def _train_step(self, batch: int) -> Call:
        config = rows.UNET[self.small] if self.trained is None else self.trained
        net = self.network("unet", lambda: UNet(UNetConfig(**config)))
        net = net.train().requires_grad_(True).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01,
                                      fused=True)
        predict = self.compiled(net)
        x, noise, t = self.latent(batch), self.latent(batch, "input.noise"), self.times(batch)
        mixed = self.dtype != torch.float32

        def step():
            with torch.inference_mode(False), torch.enable_grad():
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(self.device.type, dtype=self.dtype if mixed else None, enabled=mixed):
                    eps = predict(x, t)
                loss = nn.functional.mse_loss(eps.float(), noise)
                loss.backward()
                optimizer.step()
            return eps.detach(), loss.detach()

        return step
