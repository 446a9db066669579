#!/usr/bin/env python3
"""PyTorch on the same GPU: the same networks, weights, inputs and rows as gpu_bench, and the same columns of CSV.

    peer.py [--modes eager,compile,graphs] [--types float,tf32,bfloat16] [--rows a,b] [--batches 1,8,30] [--repeat N]
            [--reference DIR] [--device cuda] [--small]

Modes: eager; torch.compile; graphs, which is torch.compile with mode="reduce-overhead", CUDA graphs. All of them channels
last, cuDNN's benchmark mode, inference mode, batch norms folded, fused AdamW. bfloat16 is the whole network in it, but
for the time embedding's angles; latents of the loop and maps are float, as d3ad's are. Outputs are compared with the
CPU's results that gpu_bench left in --reference; without them `verified` says none.

Exit code 0; 1 where a result was wrong or a row failed; 2 after an error, which is one line on stderr.
"""

import argparse
import csv
import pathlib
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "peers"))

try:
    import numpy as np
    import torch
except ImportError as error:
    print(f"peer.py: {error}; install numpy and PyTorch (bench/gpu/requirements.txt)", file=sys.stderr)
    sys.exit(2)
from torch import nn

import detection
import rows as peers
from hash_weights import set_hash_weights
from networks import AnomalyMap, AutoencoderKL, Decode, Encode, ResNet34, UNet, UNetConfig, VaeConfig

COLUMNS = ["row", "competitor", "type", "batch", "best_ms", "median_ms", "spread", "runs", "images_per_s", "error",
           "tolerance", "verified", "note"]
ROWS = ["resnet34", "vae_encoder", "vae_decoder", "unet", "loop", "detection", "train_step"]
MODES = ["eager", "compile", "graphs"]
TYPES = ["tf32", "bfloat16", "float"]
CALLS_TO_VERIFY = 3  # as network_rows.cpp: of a training the third step is what the CPU's is compared with


def tolerance(row, type):
    """network_rows.cpp's"""
    steps = row in ("detection", "loop", "train_step")
    if type == "float":
        return 1e-3 if steps else 1e-4
    if type == "bfloat16":
        return 2e-1 if steps else 1.5e-1
    return 5e-2 if steps else 2e-2


class Sinusoids(nn.Module):
    """networks.Sinusoids with angles in float, whatever the network's type."""

    def __init__(self, plain, dtype):
        super().__init__()
        self.dtype = dtype
        self.register_buffer("frequencies", plain.frequencies.float(), persistent=False)

    def forward(self, t):
        angles = t[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1).to(self.dtype)


class Typed(nn.Module):
    """A network whose first input is converted to its type."""

    def __init__(self, net, dtype):
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, x, *rest):
        return self.net(x.to(self.dtype), *rest)


class FloatMap(nn.Module):
    """The anomaly map, in float."""

    def __init__(self, map):
        super().__init__()
        self.map = map

    def forward(self, *parts):
        return self.map(*[part.float() for part in parts])


class Peer:
    def __init__(self, o):
        self.o, self.device, self.size = o, torch.device(o.device), 32 if o.small else 256
        self.plain = {}  # networks as they are made, in float

    # ---- networks ----

    def begin(self, mode, type):
        self.mode, self.type = mode, type
        self.dtype = torch.bfloat16 if type == "bfloat16" else torch.float32
        tf32 = type == "tf32"
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        torch._dynamo.reset()

    def hashed(self, name, make):
        if name not in self.plain:
            self.plain[name] = set_hash_weights(make(), name + ".").eval().requires_grad_(False)
        return self.plain[name]

    def moved(self, name, make):
        """A copy of the network on the device, in the present type."""
        net = make()
        net.load_state_dict(self.hashed(name, make).state_dict())
        return net.eval().requires_grad_(False).to(self.device)

    def typed(self, net):
        return net.to(dtype=self.dtype, memory_format=torch.channels_last)

    def compiled(self, net):
        if self.mode == "eager":
            return net
        return torch.compile(net, dynamic=False, mode="reduce-overhead" if self.mode == "graphs" else None)

    def kept(self, net):
        """For use among others: what CUDA graphs leave is overwritten by the next call."""
        net = self.compiled(net)
        if self.mode != "graphs":
            return net

        def call(*inputs):
            torch.compiler.cudagraph_mark_step_begin()
            out = net(*inputs)
            return tuple(y.clone() for y in out) if isinstance(out, tuple) else out.clone()

        return call

    def unet(self):
        unet = self.moved("unet", lambda: UNet(UNetConfig(**peers.UNET[self.o.small])))
        sinusoids = Sinusoids(unet.time_embedding[0], self.dtype)  # before the buffer is rounded
        unet = self.typed(unet)
        unet.time_embedding[0] = sinusoids
        return Typed(unet, self.dtype)

    def vae(self):
        vae = self.typed(self.moved("vae", lambda: AutoencoderKL(VaeConfig(**peers.VAE[self.o.small]))))
        return Typed(Encode(vae), self.dtype), Typed(Decode(vae), self.dtype)

    def resnet(self):
        return Typed(self.typed(self.moved("resnet34", ResNet34).fold_norms()), self.dtype)

    # ---- rows: each gives a call ----

    def uploaded(self, array):
        return torch.from_numpy(array).to(self.device).to(memory_format=torch.channels_last)

    def image(self, batch):
        return self.uploaded(peers.image(batch, self.size))

    def latent(self, batch, name="input.latent"):
        return self.uploaded(peers.latent(batch, self.size, name))

    def times(self, batch):
        return torch.from_numpy(peers.times(batch)).to(self.device)

    def resnet34_row(self, batch):
        resnet, x = self.compiled(self.resnet()), self.image(batch)
        return lambda: resnet(x)

    def vae_encoder_row(self, batch):
        encode, x = self.compiled(self.vae()[0]), self.image(batch)
        return lambda: (encode(x),)

    def vae_decoder_row(self, batch):
        decode, z = self.compiled(self.vae()[1]), self.latent(batch)
        return lambda: (decode(z),)

    def unet_row(self, batch):
        unet, x, t = self.compiled(self.unet()), self.latent(batch), self.times(batch)
        return lambda: (unet(x, t),)

    def predictor(self, batch):
        unet = self.kept(self.unet())
        times = {t: torch.full((batch,), float(t), device=self.device) for t, *_ in detection.coefficients()[1]}
        return lambda x, t: unet(x, times[t])

    def loop_row(self, batch):
        predict, z = self.predictor(batch), self.latent(batch)
        return lambda: (detection.reconstruct(predict, z),)

    def detection_row(self, batch):
        predict, x = self.predictor(batch), self.image(batch)
        encode, decode = map(self.kept, self.vae())
        resnet = self.kept(self.resnet())
        plain_map = AnomalyMap(self.size, peers.LATENT_RANGE, peers.FEATURE_RANGE)
        anomaly_map = self.kept(FloatMap(plain_map).to(self.device))
        return lambda: detection.detect(x, lambda x: encode(x).float(), predict, decode, resnet, anomaly_map)

    def train_step_row(self, batch):
        make = lambda: UNet(UNetConfig(**peers.UNET[self.o.small]))
        unet = self.typed(self.moved("unet", make)).train().requires_grad_(True)
        optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01,
                                      fused=True)
        predict = self.compiled(unet)
        x, noise, t = self.latent(batch), self.latent(batch, "input.noise"), self.times(batch)

        def step():
            with torch.inference_mode(False), torch.enable_grad():
                optimizer.zero_grad(set_to_none=True)
                eps = predict(x, t)
                loss = torch.nn.functional.mse_loss(eps, noise)
                loss.backward()
                optimizer.step()
            return eps.detach(), loss.detach()

        return step

    # ---- measuring ----

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def once(self, call):
        """Milliseconds, from an idle device to the end of the work."""
        self.synchronize()
        if self.device.type != "cuda":
            start = time.perf_counter()
            call()
            return 1000 * (time.perf_counter() - start)
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop)

    def measured(self, call):
        ms = []
        for _ in range(1 if self.o.repeat else 3):
            call()
        while len(ms) < self.o.repeat if self.o.repeat else len(ms) < 200 and (len(ms) < 10 or sum(ms) < 1000):
            ms.append(self.once(call))
        return ms

    def error(self, row, outputs, batch):
        """As network_rows.cpp measures it: the first and the last image of a batch; None without a reference."""
        together = row == "train_step"
        worst = 0.0
        for image in [0] if together else sorted({0, batch - 1}):
            count = batch if together else 1
            path = pathlib.Path(self.o.reference or "") / f"{row}.{image}.{count}.f32"
            if not self.o.reference or not path.exists():
                return None
            want, at = np.fromfile(path, "<f4"), 0
            for part in outputs:
                got = (part if part.dim() == 0 or together else part[image]).float().cpu().contiguous().numpy().ravel()
                expected = want[at:at + got.size]
                at += got.size
                if expected.size != got.size:
                    raise RuntimeError("the CPU's result is of another size")
                off = np.abs(got.astype(np.float64) - expected)
                largest = np.abs(expected).max()
                worst = max(worst, float(off.max() / largest) if np.isfinite(off).all() and largest > 0 else float("inf"))
            if at != want.size:
                raise RuntimeError("the CPU's result is of another size")
        return worst

    def row(self, row, batch):
        """The row's fields from best_ms on, and whether it is right."""
        call = getattr(self, row + "_row")(batch)  # outside: training needs ordinary tensors
        with torch.inference_mode():
            for _ in range(CALLS_TO_VERIFY):
                outputs = call()
            error = self.error(row, outputs, batch)
            del outputs
            ms = self.measured(call)
        best, median = min(ms), statistics.median(ms)
        allowed = tolerance(row, self.type)
        good = error is None or error <= allowed
        verified = "none" if error is None else "yes" if good else "no"
        return [f"{best:.5g}", f"{median:.5g}", f"{max(ms) / best - 1:.3f}", len(ms), f"{1000 * batch / median:.5g}",
                "" if error is None else f"{error:.2e}", f"{allowed:.2e}", verified, ""], good

    def run(self):
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(COLUMNS)
        right = True
        for mode in self.o.modes:
            for type in self.o.types:
                self.begin(mode, type)
                for batch, row in self.wanted(type):
                    try:
                        fields, good = self.row(row, batch)
                    except Exception as error:  # what a framework throws has no common kind; the other rows follow
                        sentence = str(error).strip().splitlines() or [repr(error)]
                        fields, good = [""] * 7 + ["no", sentence[0]], False
                    right = right and good
                    out.writerow([row, "torch_" + mode, type, batch, *fields])
                    sys.stdout.flush()
                    if self.device.type == "cuda":
                        torch.cuda.empty_cache()
        return 0 if right else 1

    def wanted(self, type):
        chosen = [row for row in ROWS if row in self.o.rows]
        for batch in self.o.batches:
            for row in chosen:
                if row != "train_step":
                    yield batch, row
        if "train_step" in chosen and type != "bfloat16":
            yield (2 if self.o.small else 8), "train_step"


class Parser(argparse.ArgumentParser):
    def error(self, message):
        print(f"peer.py: {message}", file=sys.stderr)
        sys.exit(2)


def listed(known):
    def parse(text):
        names = [name for name in text.split(",") if name]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"'{name}' is not known; known are {', '.join(known)}")
        return names

    return parse


def positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 on")
    return int(text)


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", type=listed(MODES), default=MODES)
    parser.add_argument("--types", type=listed(TYPES), default=TYPES)
    parser.add_argument("--rows", type=listed(ROWS), default=ROWS)
    parser.add_argument("--batches", type=lambda text: [positive(word) for word in text.split(",")])
    parser.add_argument("--repeat", type=positive, default=0, help="timed calls (default: about a second of them)")
    parser.add_argument("--reference", help="the folder that gpu_bench --reference filled")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="small networks: checks the program, times mean nothing")
    o = parser.parse_args()
    o.batches = o.batches or ([1, 2] if o.small else [1, 8, 30])
    if o.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no NVIDIA GPU; check nvidia-smi, and that this PyTorch was built with CUDA")
    return Peer(o).run()


if __name__ == "__main__":
    sys.exit(main())
