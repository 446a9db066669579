"""`prove`: the real packages make networks, save them in their own formats, and d3ad has to equal what they compute.

    python3 weights_tools prove --program build/d3ad            # torch, torchvision, timm, diffusers, safetensors installed

Each network gets random weights (norms and running statistics too, so that nothing is left at 0 or 1), is saved as its
package saves it, converted, and run by its package on random images; `d3ad verify` loads the same file and compares at
the tolerance of include/d3ad/METHOD.md, section 11: 1e-4 of the largest value. If d3ad reads the published file as it is,
that is compared too.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import os
import pickle
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .architectures import RESNETS
from .convert import convert
from .naming import from_own
from .pickled import import_torch
from .reference import export_reference
from .refusal import Refusal
from .safetensors_file import Tensor, read_safetensors, write_safetensors

SHAPE = (2, 3, 64, 96)
NEEDED = ("torch", "torchvision", "timm", "diffusers", "safetensors.torch")


def package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Refusal(f"prove needs {', '.join(NEEDED)}: pip install -r weights_tools/requirements-prove.txt") from error


def randomise(module: Any, seed: int) -> Any:
    """Norms, their running statistics and biases at random: a fresh network has 0 and 1 there, which hides mistakes."""
    torch = package("torch")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, (torch.nn.BatchNorm2d, torch.nn.GroupNorm)):
                part.weight.uniform_(0.5, 1.5, generator=generator)
                part.bias.normal_(0, 0.1, generator=generator)
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1, generator=generator)
                part.running_var.uniform_(0.5, 1.5, generator=generator)
    return module.eval()


@dataclass
class Prover:
    """Compares file after file with a module, and keeps count."""

    program: Path
    folder: Path
    seed: int = 0
    done: int = 0
    failed: list[str] = field(default_factory=list)

    def run_program(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(self.program), *arguments], capture_output=True, text=True, check=False)

    def note(self, ok: bool, title: str, says: str) -> None:
        self.done += 1
        if not ok:
            self.failed.append(title)
        print(f"{'ok    ' if ok else 'FAILED'}  {title:66}  {says}", flush=True)

    def compare(self, title: str, module: Any, kind: str, weights: Path) -> Path:
        """Runs module and program on the same images; returns the reference file."""
        torch = package("torch")
        generator = torch.Generator().manual_seed(self.seed)
        x = torch.rand(SHAPE, generator=generator) * 2 - 1
        reference = weights.parent / "reference.safetensors"
        export_reference(module, kind, weights, {"x": x}, reference)
        inspected = self.run_program("inspect", str(weights))
        complete = inspected.returncode == 0 and " 0 missing, 0 of another shape, 0 left over" in inspected.stdout
        verified = self.run_program("verify", str(reference))
        errors = [float(e) for e in re.findall(r"max rel (\S+)", verified.stdout)]
        says = f"{len(errors)} tensors, largest error {max(errors):.1e}" if errors else verified.stderr.strip()
        if not complete:
            says += "; inspect: " + (inspected.stdout + inspected.stderr).strip().splitlines()[-1].strip()
        self.note(verified.returncode == 0 and bool(errors) and complete, title, says)
        return reference

    def converted(self, source: Path, names: str = "keep", dtype: str = "keep") -> Path:
        out = self.folder / "converted.safetensors"
        convert([source], out, names, dtype)
        return out


def resnets(prover: Prover) -> Iterator[tuple[str, Callable[[], None]]]:
    torch = package("torch")
    torchvision, timm, safetensors = package("torchvision"), package("timm"), package("safetensors.torch")

    def from_torchvision(name: str) -> None:
        module = randomise(getattr(torchvision.models, name)(weights=None), 1)
        path = prover.folder / f"{name}.pth"
        torch.save(module.state_dict(), path)
        prover.compare(f"torchvision {name}, .pth", module, "resnet", prover.converted(path))

    def from_timm(name: str) -> None:
        module = randomise(timm.create_model(name, pretrained=False), 2)
        path = prover.folder / "model.safetensors"
        safetensors.save_file(module.state_dict(), path)
        prover.compare(f"timm {name}, model.safetensors as it is", module, "resnet", path)
        prover.compare(f"timm {name}, model.safetensors", module, "resnet", prover.converted(path))

    def wrapped() -> None:
        module = randomise(timm.create_model("resnet50", pretrained=False, num_classes=0), 3)
        path = prover.folder / "checkpoint.pth.tar.pt"
        state = torch.nn.DataParallel(module).state_dict()
        torch.save({"epoch": 3, "arch": "resnet50", "state_dict": state}, path, _use_new_zipfile_serialization=False)
        title = "timm resnet50 without fc, DataParallel, PyTorch's old format"
        prover.compare(title, module, "resnet", prover.converted(path))

    def narrow(dtype: str, stored: Any) -> None:
        module = randomise(torchvision.models.resnet18(weights=None), 4)
        path = prover.folder / "resnet18.pth"
        torch.save(module.state_dict(), path)
        out = prover.converted(path, dtype=dtype)
        prover.compare(f"torchvision resnet18, --dtype {dtype}", module.to(stored), "resnet", out)

    for name in RESNETS:
        yield f"torchvision {name}", lambda name=name: from_torchvision(name)  # type: ignore[misc]
        yield f"timm {name}", lambda name=name: from_timm(name)  # type: ignore[misc]
    yield "timm resnet50 DataParallel", wrapped
    yield "torchvision resnet18 half", lambda: narrow("half", torch.float16)
    yield "torchvision resnet18 bfloat16", lambda: narrow("bfloat16", torch.bfloat16)


def autoencoders(prover: Prover) -> Iterator[tuple[str, Callable[[], None]]]:
    torch, diffusers = package("torch"), package("diffusers")

    def make(seed: int) -> Any:
        torch.manual_seed(seed)
        sizes = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4}
        levels = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
        return randomise(diffusers.AutoencoderKL(**sizes, **levels), seed)

    def folder() -> None:
        module = make(5)
        module.save_pretrained(prover.folder / "vae")
        path = prover.folder / "vae" / "diffusion_pytorch_model.safetensors"
        prover.compare("diffusers AutoencoderKL, vae/ as it is", module, "vae", path)
        prover.compare("diffusers AutoencoderKL, vae/", module, "vae", prover.converted(prover.folder / "vae"))

    def shards() -> None:
        module = make(6)
        module.save_pretrained(prover.folder / "vae", max_shard_size="100MB")
        path = prover.folder / "vae" / "diffusion_pytorch_model.safetensors.index.json"
        prover.compare("diffusers AutoencoderKL, shards as they are", module, "vae", path)
        prover.compare("diffusers AutoencoderKL, shards", module, "vae", prover.converted(path))

    def pipeline() -> None:
        module = make(7)

        class Pipeline(diffusers.DiffusionPipeline):  # type: ignore[misc, name-defined]
            def __init__(self, vae: Any, scheduler: Any) -> None:
                super().__init__()
                self.register_modules(vae=vae, scheduler=scheduler)

        whole = prover.folder / "pipeline"
        Pipeline(module, diffusers.DDIMScheduler()).save_pretrained(whole)
        prover.compare("diffusers AutoencoderKL, of a whole pipeline", module, "vae", prover.converted(whole))
        inspected = prover.run_program("inspect", str(whole))
        says = "".join(line.strip() for line in inspected.stdout.splitlines() if "network:" in line)
        prover.note(inspected.returncode == 0 and "AutoencoderKL" in says, "d3ad inspect of the pipeline's folder", says)

    def old_names() -> None:
        module = make(8)
        state = {from_own("vae", "diffusers-old", name, 4): value for name, value in module.state_dict().items()}
        old = prover.folder / "old"
        module.save_config(old)
        torch.save(state, old / "diffusion_pytorch_model.bin")
        theirs = diffusers.AutoencoderKL.from_pretrained(old, use_safetensors=False, low_cpu_mem_usage=False).eval()
        same = all(torch.equal(value, module.state_dict()[name]) for name, value in theirs.state_dict().items())
        prover.note(same, "diffusers reads the old attention names as we write them", "equal" if same else "not equal")
        path = prover.converted(old)
        prover.compare("diffusers AutoencoderKL, old attention names, .bin", theirs, "vae", path)
        path = prover.converted(old, names="diffusers")
        prover.compare("diffusers AutoencoderKL, old attention names to new", theirs, "vae", path)

    def compvis() -> None:
        module = make(9)
        module.save_pretrained(prover.folder / "vae")
        path = prover.converted(prover.folder / "vae", names="compvis")
        prover.compare("AutoencoderKL, --names compvis", module, "vae", path)
        safetensors = package("safetensors.torch")
        state = {f"first_stage_model.{name}": value for name, value in safetensors.load_file(path).items()}
        # diffusers' own converter is the judge of these names.
        single_file = package("diffusers.loaders.single_file_utils")
        back = single_file.convert_ldm_vae_checkpoint(dict(state), dict(module.config))
        same = back.keys() == module.state_dict().keys()
        same = same and all(torch.equal(v.reshape(back[n].shape), back[n]) for n, v in module.state_dict().items())
        prover.note(same, "diffusers' converter takes our CompVis names back", "equal" if same else "not equal")
        state["model.diffusion_model.out.2.weight"] = torch.zeros(4, 4)
        state["cond_stage_model.transformer.weight"] = torch.zeros(2)
        whole = prover.folder / "sd.ckpt"
        torch.save({"global_step": 1, "state_dict": state}, whole)
        prover.compare("Stable Diffusion's .ckpt, its autoencoder", module, "vae", prover.converted(whole))
        whole = prover.folder / "sd.safetensors"
        safetensors.save_file(state, whole)
        prover.compare("Stable Diffusion's .safetensors as it is", module, "vae", whole)

    def half() -> None:
        module = make(10)
        module.half().save_pretrained(prover.folder / "vae", variant="fp16")
        path = prover.folder / "vae" / "diffusion_pytorch_model.fp16.safetensors"
        prover.compare("diffusers AutoencoderKL, fp16 variant as it is", module, "vae", path)

    def tiny() -> None:
        torch.manual_seed(11)
        module = diffusers.AutoencoderTiny().eval()
        module.save_pretrained(prover.folder / "taesd")
        path = prover.folder / "taesd" / "diffusion_pytorch_model.safetensors"
        prover.compare("diffusers AutoencoderTiny as it is", module, "tae", path)
        taesd = prover.converted(prover.folder / "taesd", names="taesd")
        prover.compare("diffusers AutoencoderTiny, --names taesd", module, "tae", taesd)

    yield "diffusers AutoencoderKL folder", folder
    yield "diffusers AutoencoderKL shards", shards
    yield "diffusers AutoencoderKL pipeline", pipeline
    yield "diffusers AutoencoderKL old names", old_names
    yield "diffusers AutoencoderKL compvis", compvis
    yield "diffusers AutoencoderKL half", half
    yield "diffusers AutoencoderTiny", tiny


class _WantsToRun:
    """Unpickled, it would make a folder: a harmless stand-in for what a hostile file would do."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.sign),)


def refusals(prover: Prover) -> Iterator[tuple[str, Callable[[], None]]]:
    torch = package("torch")

    def hostile() -> None:
        sign = prover.folder / "was run"
        content = {"conv1.weight": torch.zeros(1), "extra": _WantsToRun(sign)}
        ways: dict[str, Callable[[Path], object]] = {
            "zip": lambda path: torch.save(content, path),
            "PyTorch's old format": lambda path: torch.save(content, path, _use_new_zipfile_serialization=False),
        }
        for protocol in range(6):
            ways[f"bare pickle, protocol {protocol}"] = lambda path, protocol=protocol: path.write_bytes(  # type: ignore[misc]
                pickle.dumps({"extra": _WantsToRun(sign)}, protocol=protocol)
            )
        for title, write in ways.items():
            path = prover.folder / "hostile.pth"
            write(path)
            try:
                prover.converted(path)
                says = "was converted"
            except Refusal as refusal:
                says = str(refusal).removeprefix(f"'{path}' ")
            ok = not says.startswith("was") and not sign.exists()
            prover.note(ok, f"a pickle that wants to run code ({title})", "refused: " + says.split("; ")[0])

    def altered() -> None:
        module = randomise(package("torchvision").models.resnet18(weights=None), 12)
        path = prover.folder / "resnet18.pth"
        torch.save(module.state_dict(), path)
        weights = prover.converted(path)
        x = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1
        reference = prover.folder / "reference.safetensors"
        export_reference(module, "resnet", weights, {"x": x}, reference)
        tensors, metadata = read_safetensors(weights)
        before = tensors["layer1.0.bn1.bias"]
        values = torch.frombuffer(bytearray(before.read()), dtype=torch.float32)
        values[0] += 0.01
        tensors["layer1.0.bn1.bias"] = Tensor("F32", before.shape, lambda: bytes(values.numpy().tobytes()))
        write_safetensors(prover.folder / "altered.safetensors", tensors, metadata)
        os.replace(prover.folder / "altered.safetensors", weights)
        code = prover.run_program("verify", str(reference)).returncode
        prover.note(code == 1, "one of 11.7 million numbers changed by 0.01", f"noticed: d3ad verify ends with {code}")

    yield "refusal of pickles", hostile
    yield "refusal of an altered network", altered


def versions() -> str:
    return ", ".join(f"{name} {package(name).__version__}" for name in ("torch", "torchvision", "timm", "diffusers"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--program", type=Path, default=Path("build/d3ad"), help="the program d3ad (%(default)s)")
    parser.add_argument("--only", default="*", help="a pattern of networks, as 'timm *' (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    program = arguments.program.resolve()
    if not os.access(program, os.X_OK):
        raise Refusal(f"--program '{arguments.program}' is not a program; build d3ad and say where it is")
    import_torch("prove").set_grad_enabled(False)
    package("diffusers").utils.logging.set_verbosity_error()  # that float32 modules are cast to float32 is no news
    print(versions())
    prover = Prover(program, Path())
    for part in (resnets, autoencoders, refusals):
        for name, step in part(prover):
            if not fnmatch.fnmatch(name, arguments.only):
                continue
            with tempfile.TemporaryDirectory(prefix="d3ad-prove-") as folder:
                prover.folder = Path(folder)
                step()
    print(f"{prover.done} checks, {len(prover.failed)} failed")
    if not prover.done:
        raise Refusal(f"--only '{arguments.only}' matches nothing")
    return 1 if prover.failed else 0
