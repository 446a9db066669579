#!/usr/bin/env python3
"""PyTorch as a competitor: channels last, inference mode, batch norms folded; peer.py says how it is talked to.

    torch_peer.py --threads 2 --image-size 256 --cache DIR [--small] [--compile]

--compile runs the networks through torch.compile with frozen weights (Inductor packs them once, where eager mode lets
oneDNN reorder a convolution's weights in every call). Training is eager in both: AdamW is the fused one, which is one
pass over the weights by all threads where the foreach variant is several.
"""

import pathlib

import torch

import rows
from hash_weights import set_hash_weights
from peer import options, serve
from torch_rows import TorchRows, as_it_is


class TorchPeer:
    def __init__(self, o):
        self.o = o
        torch.set_num_threads(o.threads)
        if o.compile:
            import torch._inductor.config as inductor

            inductor.freezing = True

    def version(self):
        return f"PyTorch {torch.__version__}" + (", compiled" if self.o.compile else "")

    def stored(self, name, make):
        """The network with its weights from the cache's state dict, which are mapped rather than read and copied."""
        with torch.device("meta"):
            net = make()
        state = torch.load(pathlib.Path(self.o.cache) / f"{name}.pt", mmap=True, weights_only=True)
        net.load_state_dict(state, assign=True)
        return net

    def hashed(self, name, make):
        """One that will change."""
        return set_hash_weights(make(), name + ".")

    def load(self, name):
        row, small = rows.ROWS[name], self.o.small
        trains = row.kind == "train_step"  # eager also with --compile
        compiled = (lambda net: torch.compile(net, dynamic=False)) if self.o.compile and not trains else as_it_is
        networks = TorchRows(self.hashed if trains else self.stored, self.o.image_size, small,
                             trained=rows.TRAINED_UNET[small], compiled=compiled)
        self.call = networks.call(row.kind, row.batch)

    def run(self):
        with torch.inference_mode():
            self.last = self.call()

    def outputs(self):
        return [tensor.contiguous().numpy() for tensor in self.last]


if __name__ == "__main__":
    serve(TorchPeer(options(__doc__, ("--compile", "through torch.compile"))))
