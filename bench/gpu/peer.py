#!/usr/bin/env python3
"""PyTorch on the same GPU: the same networks, weights, inputs and rows as gpu_bench, and the same columns of CSV.

    peer.py [--modes eager,compile,graphs] [--types float,tf32,bfloat16] [--rows a,b] [--batches 1,8,30] [--repeat N]
            [--reference DIR] [--device cuda] [--small]

Modes: eager; torch.compile; graphs, which is torch.compile with mode="reduce-overhead", CUDA graphs. All of them with
cuDNN's benchmark mode and inference mode; the rows themselves are those of bench/peers/torch_rows.py. Outputs are
compared with the CPU's results that gpu_bench left in --reference; without them `verified` says none.

Exit code 0; 1 where a result was wrong or a row failed; 2 after an error, which is one line on stderr.
"""

import csv
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator

PEERS = pathlib.Path(__file__).resolve().parents[1] / "peers"
sys.path.insert(0, str(PEERS))

try:
    import numpy as np
    import torch
except ImportError as missing:
    print(f"peer.py: {missing}; install numpy and PyTorch (bench/gpu/requirements.txt)", file=sys.stderr)
    sys.exit(2)
from torch import nn

from command_line import Parser, at_least, listed
from hash_weights import set_hash_weights
from torch_rows import Call, TorchRows, as_it_is

COLUMNS = ["row", "competitor", "type", "batch", "best_ms", "median_ms", "spread", "runs", "images_per_s", "error",
           "tolerance", "verified", "gflop", "note"]
ROWS = ["resnet34", "vae_encoder", "vae_decoder", "unet", "loop", "detection", "train_step"]
MODES = ["eager", "compile", "graphs"]
TYPES = ["tf32", "bfloat16", "float"]
CALLS_TO_VERIFY = 3  # as network_rows.cpp: of a training the third step is what the CPU's is compared with


def tolerance(row: str, type: str) -> float:
    """include/d3ad/core/tolerance.hpp's, for what network_rows.cpp takes them for."""
    steps = row in ("detection", "loop", "train_step")
    return {"float": (1e-4, 1e-3), "tf32": (2e-2, 5e-2), "bfloat16": (1.5e-1, 2e-1)}[type][steps]


def relative_error(outputs: tuple[torch.Tensor, ...], row: str, batch: int, folder: pathlib.Path) -> float | None:
    """As network_rows.cpp measures it: the first and the last image of a batch; None without the CPU's result."""
    together = row == "train_step"
    worst = 0.0
    for image in [0] if together else sorted({0, batch - 1}):
        path = folder / f"{row}.{image}.{batch if together else 1}.f32"
        if not path.exists():
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


class Peer:
    def __init__(self, o):
        self.o, self.device = o, torch.device(o.device)
        self.plain: dict[str, nn.Module] = {}  # networks as they are made, in float

    def network(self, name: str, make: Callable[[], nn.Module]) -> nn.Module:
        """A copy of the network with hash weights, on the device."""
        if name not in self.plain:
            self.plain[name] = set_hash_weights(make(), name + ".")
        net = make()
        net.load_state_dict(self.plain[name].state_dict())
        return net.to(self.device)

    def rows_in(self, mode: str, type: str) -> TorchRows:
        tf32 = type == "tf32"
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        torch._dynamo.reset()

        def compiled(net):
            return torch.compile(net, dynamic=False, mode="reduce-overhead" if mode == "graphs" else None)

        def kept(net):  # what CUDA graphs leave is overwritten by the next call
            def call(*inputs):
                torch.compiler.cudagraph_mark_step_begin()
                out = net(*inputs)
                return tuple(y.clone() for y in out) if isinstance(out, tuple) else out.clone()

            return call

        return TorchRows(self.network, 64 if self.o.small else 256, self.o.small, device=self.device,
                         dtype=torch.bfloat16 if type == "bfloat16" else torch.float32,
                         compiled=as_it_is if mode == "eager" else compiled,
                         kept=kept if mode == "graphs" else as_it_is)

    # ---- measuring ----

    def once(self, call: Call) -> float:
        """Milliseconds, from an idle device to the end of the work."""
        if self.device.type != "cuda":
            begin = time.perf_counter()
            call()
            return 1000 * (time.perf_counter() - begin)
        torch.cuda.synchronize()
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop)

    def measured(self, call: Call) -> list[float]:
        """As gpu_bench.hpp's measure()."""
        ms: list[float] = []
        for _ in range(0 if self.o.small else 3):
            call()
        while len(ms) < self.o.repeat if self.o.repeat else len(ms) < 200 and (len(ms) < 10 or sum(ms) < 1000):
            ms.append(self.once(call))
        return ms

    def row(self, rows: TorchRows, row: str, type: str, batch: int) -> tuple[list, bool]:
        """The row's fields from best_ms on, and whether it is right."""
        call = rows.call(row, batch)  # outside: training needs ordinary tensors
        with torch.inference_mode():
            for _ in range(CALLS_TO_VERIFY):
                outputs = call()
            error = relative_error(outputs, row, batch, self.o.reference) if self.o.reference else None
            del outputs
            ms = self.measured(call)
        best, median = min(ms), statistics.median(ms)
        allowed = tolerance(row, type)
        good = error is None or error <= allowed
        verified = "none" if error is None else "yes" if good else "no"
        return [f"{best:.5g}", f"{median:.5g}", f"{max(ms) / best - 1:.3f}", len(ms), f"{1000 * batch / median:.5g}",
                "" if error is None else f"{error:.2e}", f"{allowed:.2e}", verified, "", ""], good

    def wanted(self) -> Iterator[tuple[int, str]]:
        for batch in self.o.batches:
            yield from ((batch, row) for row in ROWS if row in self.o.rows and row != "train_step")
        if "train_step" in self.o.rows:
            yield from ((batch, "train_step") for batch in self.o.batches if batch > 1)

    def run(self) -> int:
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(COLUMNS)
        right = True
        for mode in self.o.modes:
            for type in self.o.types:
                rows = self.rows_in(mode, type)
                for batch, row in self.wanted():
                    try:
                        fields, good = self.row(rows, row, type, batch)
                    except Exception as error:  # what a framework throws has no common kind; the other rows follow
                        sentence = str(error).strip().splitlines() or [repr(error)]
                        fields, good = [""] * 7 + ["no", "", sentence[0]], False
                    right = right and good
                    out.writerow([row, "torch_" + mode, type, batch, *fields])
                    sys.stdout.flush()
                    if self.device.type == "cuda":
                        torch.cuda.empty_cache()
        return 0 if right else 1


def main() -> int:
    parser = Parser(prog="peer.py", description=__doc__)
    parser.add_argument("--modes", type=listed(MODES), default=MODES)
    parser.add_argument("--types", type=listed(TYPES), default=TYPES)
    parser.add_argument("--rows", type=listed(ROWS), default=ROWS)
    parser.add_argument("--batches", type=lambda text: [at_least(1)(word) for word in text.split(",")])
    parser.add_argument("--repeat", type=at_least(1), default=0, help="timed calls (default: about a second of them)")
    parser.add_argument("--reference", type=pathlib.Path, help="the folder that gpu_bench --reference filled")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="small networks: checks the program, times mean nothing")
    o = parser.parse_args()
    o.batches = o.batches or ([2] if o.small else [1, 8, 30])
    if o.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no NVIDIA GPU; check nvidia-smi, and that this PyTorch was built with CUDA")
    return Peer(o).run()


if __name__ == "__main__":
    sys.exit(main())
