"""`export-reference`: runs a PyTorch module on inputs and writes what `d3ad verify` compares with.

    export_reference(module, "resnet", Path("resnet34.safetensors"), {"x": x}, Path("reference.safetensors"))

The weights file is the module's, converted; the reference holds inputs and outputs and names that file, which has to lie
beside it (or in `d3ad verify --weights`). What is run and kept, by kind:

    resnet   x -> layer1, layer2, layer3 in evaluation and in training mode (adaptation's; in double), and the
             running statistics after the latter                                           module.layer1 ... .layer3
    vae      x -> mean, logvar of the posterior; z -> image                                module.encode, .decode
    tae      x in [-1, 1] -> latent -> image                                               likewise, or .encoder, .decoder
    unet     x, t -> eps                                                                   module(x, t)
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .checkpoint import read_checkpoint
from .pickled import import_torch, read_pickled, torch_tensors
from .recognise import recognise
from .refusal import Refusal
from .safetensors_file import read_safetensors, write_safetensors

KINDS = {"resnet": "resnet", "vae": "vae", "tae": "tiny_vae", "unet": "unet"}  # and the weights' family
Values = dict[str, Any]


def _tensor(output: Any, *names: str) -> Any:
    """A tensor, or the one that an output of diffusers' wraps."""
    for name in names:
        output = getattr(output, name, output)
    return output


def _features(module: Any, x: Any, mode: str) -> Values:
    out: Values = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: out.__setitem__(f"{mode}.{name}", output)

    hooks = [getattr(module, name).register_forward_hook(keep(name)) for name in ("layer1", "layer2", "layer3")]
    try:
        module(x)
    finally:
        for hook in hooks:
            hook.remove()
    return out


def _run_resnet(module: Any, values: Values) -> Values:
    out = _features(module, values["x"], "eval")
    # Training mode in double: a batch's own statistics make rounding grow from layer to layer, beyond 1e-4 in float.
    before = {name: value.clone() for name, value in module.state_dict().items()}
    out |= _features(module.double().train(), values["x"].double(), "train")
    for name, value in module.named_buffers():
        if name.endswith(("running_mean", "running_var")) and not name.startswith("layer4."):
            out[f"after.{name}"] = value.clone()
    module.eval().float().load_state_dict(before)
    return out


def _run_vae(module: Any, values: Values) -> Values:
    posterior = _tensor(module.encode(values["x"]), "latent_dist")
    mean, logvar = (posterior.mean, posterior.logvar) if hasattr(posterior, "logvar") else posterior.chunk(2, dim=1)
    z = values.get("z", mean)
    return {"mean": mean, "logvar": logvar, "z": z, "image": _tensor(module.decode(z), "sample")}


def _run_tae(module: Any, values: Values) -> Values:
    if hasattr(module, "encode"):
        latent = _tensor(module.encode(values["x"]), "latents")
        return {"latent": latent, "image": _tensor(module.decode(latent), "sample")}
    latent = module.encoder(values["x"].add(1).div(2))  # TAESD's own module works in [0, 1]
    return {"latent": latent, "image": module.decoder(latent).mul(2).sub(1)}


def _run_unet(module: Any, values: Values) -> Values:
    return {"eps": _tensor(module(values["x"], values["t"]), "sample")}


RUNNERS = {"resnet": _run_resnet, "vae": _run_vae, "tae": _run_tae, "unet": _run_unet}


def export_reference(
    module: Any, kind: str, weights: Path, inputs: Values, output: Path, config: dict[str, Any] | None = None
) -> list[str]:
    """Writes `output`; returns the names of what it holds."""
    torch = import_torch("export-reference")
    checkpoint = read_checkpoint([weights])
    found = recognise(checkpoint.tensors, str(weights))
    if found.spelling.family != KINDS[kind]:
        raise Refusal(f"'{weights}' holds {found.network.name}, which is not of the kind '{kind}'")
    needed = {"x", "t"} if kind == "unet" else {"x"}
    if missing := needed - inputs.keys():
        raise Refusal(f"the kind '{kind}' needs the input {', '.join(sorted(missing))}")
    module = module.eval().to(torch.float32)
    with torch.no_grad():
        try:
            values = {**inputs, **RUNNERS[kind](module, inputs)}
        except AttributeError as error:
            raise Refusal(f"the module is not of the kind '{kind}': {error}") from error
    for name, value in values.items():
        if not torch.isfinite(value).all():
            raise Refusal(f"the module's '{name}' holds NaN or infinity; nothing can be compared with that")
        values[name] = value.to(torch.int64 if name == "t" else torch.float32)
    metadata = {
        "kind": kind,
        "weights": weights.name,
        "config": json.dumps({**found.network.config, **checkpoint.config, **(config or {})}),
        "made_with": f"PyTorch {torch.__version__}",
    }
    if kind == "resnet":
        metadata["training"] = "double"
    if found.spelling.prefix:
        metadata["prefix"] = found.spelling.prefix
    write_safetensors(output, torch_tensors(values), metadata)
    return sorted(values)


def load_module(where: str, arguments: dict[str, Any]) -> Any:
    """PACKAGE.MODULE:CALLABLE or FILE.py:CALLABLE, called with the arguments. The user's own code is run here."""
    place, _, name = where.rpartition(":")
    if not place or not name:
        raise Refusal(f"--module '{where}' should be PACKAGE.MODULE:CALLABLE or FILE.py:CALLABLE")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            if spec is None or spec.loader is None:
                raise Refusal(f"cannot load '{place}'")
            source = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = source
            spec.loader.exec_module(source)
        else:
            source = importlib.import_module(place)
        return getattr(source, name)(**arguments)
    except (ImportError, OSError, AttributeError, TypeError) as error:
        raise Refusal(f"--module '{where}': {error}") from error


def _parse_object(text: str, option: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Refusal(f"{option} '{text}' is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refusal(f"{option} '{text}' is not a JSON object")
    return value


def _parse_shape(text: str) -> list[int]:
    try:
        shape = [int(part) for part in text.split("x")]
    except ValueError:
        shape = []
    if len(shape) != 4 or min(shape) < 1:
        raise Refusal(f"--shape '{text}' should be like 1x3x64x96: images, channels, height, width")
    return shape


def make_inputs(arguments: argparse.Namespace) -> Values:
    torch = import_torch("export-reference")
    if arguments.input:
        stored = read_safetensors(arguments.input)[0]
        types = {"F32": torch.float32, "I64": torch.int64, "I32": torch.int32, "F64": torch.float64}
        for name, tensor in stored.items():
            if tensor.dtype not in types:
                raise Refusal(f"'{arguments.input}': '{name}' is {tensor.dtype}, expected one of {', '.join(types)}")
        return {
            name: torch.frombuffer(bytearray(t.read()), dtype=types[t.dtype]).reshape(t.shape)
            for name, t in stored.items()
        }
    shape = _parse_shape(arguments.shape)
    generator = torch.Generator().manual_seed(arguments.seed)
    inputs = {"x": torch.rand(shape, generator=generator) * 2 - 1}
    if arguments.kind == "unet":
        inputs["t"] = torch.randint(0, 1000, (shape[0],), generator=generator)
    return inputs


def load_weights(module: Any, path: Path) -> None:
    torch = import_torch("export-reference")
    if path.suffix == ".safetensors":
        raise Refusal("--state is the module's own state dict (.pth, .pt, .bin); --weights is the converted file")
    read_pickled(path)  # refuses what is no state dict
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        module.load_state_dict(state.get("state_dict", state))
    except RuntimeError as error:
        raise Refusal(f"'{path}' does not fit the module: {str(error).splitlines()[-1].strip()}") from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", required=True, choices=list(KINDS), help="what is run and kept of the module")
    parser.add_argument(
        "--module", required=True, help="PACKAGE.MODULE:CALLABLE or FILE.py:CALLABLE that makes the module; it is run"
    )
    parser.add_argument("--arguments", default="{}", help="the callable's keyword arguments, a JSON object")
    parser.add_argument("--state", required=True, type=Path, help="the module's own state dict (.pth, .pt, .bin)")
    parser.add_argument("--weights", required=True, type=Path, help="the same weights converted, for d3ad to read")
    parser.add_argument("--config", default="{}", help="what no shape tells, a JSON object: heads, norm_num_groups, ...")
    parser.add_argument("--input", type=Path, help="a safetensors file with x (and t, z); without it, random inputs")
    parser.add_argument("--shape", default="1x3x64x96", help="of random inputs (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of random inputs (%(default)s)")
    parser.add_argument("--out", "-o", required=True, type=Path, help="the reference file to write")


def run(arguments: argparse.Namespace) -> int:
    module = load_module(arguments.module, _parse_object(arguments.arguments, "--arguments"))
    load_weights(module, arguments.state)
    config = _parse_object(arguments.config, "--config")
    names = export_reference(module, arguments.kind, arguments.weights, make_inputs(arguments), arguments.out, config)
    print(f"{arguments.out}: {arguments.kind} with {', '.join(names)}; check it with: d3ad verify {arguments.out}")
    return 0
