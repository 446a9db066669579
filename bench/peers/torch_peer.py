#!/usr/bin/env python3
"""PyTorch as a competitor: channels last, inference mode, batch norms folded; peer.py says how it is talked to.

    torch_peer.py --threads 2 --image-size 256 --cache DIR [--small] [--compile]

--compile runs the networks through torch.compile with frozen weights (Inductor packs them once, where eager mode lets
oneDNN reorder a convolution's weights in every call). Training is eager in both: AdamW is the fused one, which is one
pass over the weights by all threads where the foreach variant is several.
"""

import pathlib

import torch

import detection
import rows
from hash_weights import set_hash_weights
from networks import AnomalyMap, AutoencoderKL, Decode, Encode, ResNet34, UNet, UNetConfig, VaeConfig
from peer import options, serve


def channels_last(array):
    return torch.from_numpy(array).to(memory_format=torch.channels_last)


class TorchPeer:
    def __init__(self, o):
        self.o = o
        torch.set_num_threads(o.threads)
        if o.compile:
            import torch._inductor.config as inductor

            inductor.freezing = True

    def version(self):
        return f"PyTorch {torch.__version__}" + (", compiled" if self.o.compile else "")

    # ---- networks ----

    def stored(self, name, make):
        """The network with its weights from the cache's state dict, which are mapped rather than read and copied."""
        with torch.device("meta"):
            net = make()
        state = torch.load(pathlib.Path(self.o.cache) / f"{name}.pt", mmap=True, weights_only=True)
        net.load_state_dict(state, assign=True)
        return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def ready(self, net):
        return torch.compile(net, dynamic=False) if self.o.compile else net

    def unet(self):
        return self.ready(self.stored("unet", lambda: UNet(UNetConfig(**rows.UNET[self.o.small]))))

    def vae(self):
        vae = self.stored("vae", lambda: AutoencoderKL(VaeConfig(**rows.VAE[self.o.small])))
        return self.ready(Encode(vae)), self.ready(Decode(vae))

    def resnet(self):
        return self.ready(self.stored("resnet34", ResNet34).fold_norms())

    # ---- rows ----

    def load(self, name):
        row = rows.ROWS[name]
        self.call = getattr(self, "load_" + row.kind)(row.batch)

    def load_vae_encoder(self, batch):
        encode, x = self.vae()[0], channels_last(rows.image(batch, self.o.image_size))
        return lambda: (encode(x),)

    def load_vae_decoder(self, batch):
        decode, z = self.vae()[1], channels_last(rows.latent(batch, self.o.image_size))
        return lambda: (decode(z),)

    def load_unet(self, batch):
        unet, x = self.unet(), channels_last(rows.latent(batch, self.o.image_size))
        t = torch.from_numpy(rows.times(batch))
        return lambda: (unet(x, t),)

    def load_resnet34(self, batch):
        resnet, x = self.resnet(), channels_last(rows.image(batch, self.o.image_size))
        return lambda: resnet(x)

    def load_detection(self, batch):
        size = self.o.image_size
        unet, (encode, decode), resnet = self.unet(), self.vae(), self.resnet()
        anomaly_map = AnomalyMap(size, rows.LATENT_RANGE, rows.FEATURE_RANGE)
        x = channels_last(rows.image(batch, size))

        def predict(latent, t):
            return unet(latent, torch.full((batch,), float(t)))

        return lambda: detection.detect(x, encode, predict, decode, resnet, anomaly_map)

    def load_train_step(self, batch):
        unet = set_hash_weights(UNet(UNetConfig(**rows.TRAINED_UNET[self.o.small])), "unet.")
        unet = unet.train().to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01,
                                      fused=True)
        x = channels_last(rows.latent(batch, self.o.image_size))
        noise = channels_last(rows.latent(batch, self.o.image_size, "input.noise"))
        t = torch.from_numpy(rows.times(batch))

        def step():
            with torch.inference_mode(False), torch.enable_grad():
                optimizer.zero_grad(set_to_none=True)
                eps = unet(x, t)
                loss = torch.nn.functional.mse_loss(eps, noise)
                loss.backward()
                optimizer.step()
            return eps.detach(), loss.detach()

        return step

    def run(self):
        with torch.inference_mode():
            self.last = self.call()

    def outputs(self):
        return [tensor.contiguous().numpy() for tensor in self.last]


if __name__ == "__main__":
    serve(TorchPeer(options(__doc__, ("--compile", "through torch.compile"))))
