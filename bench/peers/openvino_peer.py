#!/usr/bin/env python3
"""OpenVINO as a competitor, on its CPU plugin; peer.py says how it is talked to.

    openvino_peer.py --threads 2 --image-size 256 --cache DIR [--small]

Latency hint (one stream that all threads work on) and float32 arithmetic: on processors with bfloat16 instructions it
would choose those by itself. The number of images is fixed before the graph is compiled. Its threads are TBB's and
sleep when there is no work.
"""

import pathlib

import numpy as np
import openvino as ov

import detection
import rows
from peer import options, serve


class Network:
    """One graph; called with numpy arrays in the order of its inputs, answers with a list of views of its outputs."""

    def __init__(self, core, o, name, batch):
        model = core.read_model(pathlib.Path(o.cache) / f"{name}.xml")
        model.reshape({i.any_name: [batch, *i.partial_shape[1:]] for i in model.inputs})
        self.request = core.compile_model(model, "CPU", {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": o.threads,
        }).create_infer_request()
        self.outputs = len(model.outputs)

    def __call__(self, *arrays):
        self.request.infer(dict(enumerate(arrays)), share_inputs=True, share_outputs=True)
        return [self.request.get_output_tensor(i).data for i in range(self.outputs)]


class OpenVinoPeer:
    def __init__(self, o):
        self.o, self.core = o, ov.Core()

    def version(self):
        return "OpenVINO " + ov.__version__.partition("-")[0]

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
        network = Network(self.core, self.o, name, batch)
        return lambda: network(*inputs)

    def load_detection(self, batch):
        encoder, unet, decoder, resnet, anomaly_map = (
            Network(self.core, self.o, name, batch)
            for name in ("vae_encoder", "unet", "vae_decoder", "resnet34", "map"))
        x = rows.image(batch, self.o.image_size)

        def features(image):  # copies: the second call, for the reconstruction, writes into the same memory
            return [f.copy() for f in resnet(image)[1:]]

        return lambda: detection.detect(
            x,
            encode=lambda image: encoder(image)[0],
            unet=lambda latent, t: unet(latent, np.full(batch, t, np.float32))[0],
            decode=lambda z: decoder(z)[0],
            features=features,
            anomaly_map=anomaly_map)

    def run(self):
        self.last = self.call()

    def outputs(self):
        return self.last


if __name__ == "__main__":
    serve(OpenVinoPeer(options(__doc__)))
