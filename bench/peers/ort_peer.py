#!/usr/bin/env python3
"""ONNX Runtime as a competitor, on the CPU provider; peer.py says how it is talked to.

    ort_peer.py --threads 2 --image-size 256 --cache DIR [--small]

All graph optimisations, the layout one (blocked channels) included; the number of images is fixed when the graph is
loaded. Its threads spin while they wait for work within a call, which is the default and faster, but stop when the call
returns (session.force_spinning_stop), so that it costs the other competitors nothing.
"""

import pathlib

import numpy as np
import onnxruntime as ort

import detection
import rows
from peer import options, serve


class Network:
    """One graph; called with numpy arrays in the order of its inputs, answers with a list of them."""

    def __init__(self, o, name, batch):
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = o.threads
        settings.inter_op_num_threads = 1
        settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        settings.add_free_dimension_override_by_name("n", batch)
        settings.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = ort.InferenceSession(str(pathlib.Path(o.cache) / f"{name}.onnx"), settings,
                                            providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.session.get_inputs()]

    def __call__(self, *arrays, outputs=None):
        return self.session.run(outputs, dict(zip(self.inputs, arrays)))


class OrtPeer:
    def __init__(self, o):
        self.o = o

    def version(self):
        return f"ONNX Runtime {ort.__version__}"

    def load(self, name):
        row = rows.ROWS[name]
        self.call = getattr(self, "load_" + row.kind)(row.batch)

    def load_vae_encoder(self, batch):
        return self.load_one("vae_encoder", batch, rows.image(batch, self.o.image_size))

    def load_vae_decoder(self, batch):
        return self.load_one("vae_decoder", batch, rows.latent(batch, self.o.image_size))

    def load_unet(self, batch):
        return self.load_one("unet", batch, rows.latent(batch, self.o.image_size), rows.times(batch))

    def load_resnet34(self, batch):
        return self.load_one("resnet34", batch, rows.image(batch, self.o.image_size))

    def load_one(self, name, batch, *inputs):
        network = Network(self.o, name, batch)
        return lambda: network(*inputs)

    def load_detection(self, batch):
        encoder, unet, decoder, resnet, anomaly_map = (
            Network(self.o, name, batch) for name in ("vae_encoder", "unet", "vae_decoder", "resnet34", "map"))
        x = rows.image(batch, self.o.image_size)
        return lambda: detection.detect(
            x,
            encode=lambda image: encoder(image)[0],
            unet=lambda latent, t: unet(latent, np.full(batch, t, np.float32))[0],
            decode=lambda z: decoder(z)[0],
            features=lambda image: resnet(image, outputs=["f2", "f3"]),
            anomaly_map=anomaly_map)

    def run(self):
        self.last = self.call()

    def outputs(self):
        return self.last


if __name__ == "__main__":
    serve(OrtPeer(options(__doc__)))
