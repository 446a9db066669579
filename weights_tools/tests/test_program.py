"""weights_tools as a user starts it: exit codes, one line for what is wrong, and `export-reference` where PyTorch is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import tensors_of
from d3ad_weights import architectures as known
from d3ad_weights.safetensors_file import read_safetensors, write_safetensors

TOOLS = Path(__file__).resolve().parent.parent


def tools(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOLS), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_names_every_command() -> None:
    told = tools("--help")
    assert told.returncode == 0
    for command in ("convert", "fetch", "export-reference", "prove"):
        assert command in told.stdout
        assert "usage:" in tools(command, "--help").stdout
    assert tools().returncode == 2
    assert "sd-vae-ft-mse" in tools("fetch").stdout


def test_convert_says_what_it_found_or_what_is_wrong(tmp_path: Path) -> None:
    source, out = tmp_path / "r.safetensors", tmp_path / "out.safetensors"
    write_safetensors(source, tensors_of(known.resnet("resnet18", 8, 10), "torchvision", "module."), {})
    done = tools("convert", source, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'resnet18 {"architecture": "resnet18", "width": 8, "classes": 10}' in done.stdout
    assert "conv1.weight" in read_safetensors(out)[0]
    (tmp_path / "cut.safetensors").write_bytes(source.read_bytes()[:-5])
    wrong = tools("convert", tmp_path / "cut.safetensors", "-o", tmp_path / "no.safetensors")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("weights_tools: '") and wrong.stderr.count("\n") == 1
    assert "cut short" in wrong.stderr
    assert not (tmp_path / "no.safetensors").exists()


@pytest.mark.parametrize("kept", [None, b"old"])
def test_a_full_disk(tmp_path: Path, kept: bytes | None) -> None:
    """Played by the limit on file sizes."""
    source, out = tmp_path / "r.safetensors", tmp_path / "out.safetensors"
    write_safetensors(source, tensors_of(known.resnet("resnet18", 8, 10), "torchvision"), {})
    if kept is not None:
        out.write_bytes(kept)
    limited = f"ulimit -f 8; exec {sys.executable} {TOOLS} convert {source} -o {out}"
    wrong = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == f"weights_tools: cannot write '{out}': File too large; nothing was written\n"
    assert (out.read_bytes() if out.exists() else None) == kept
    assert {path.name for path in tmp_path.iterdir()} <= {"r.safetensors", "out.safetensors"}


def test_export_reference(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    tiny = known.unet(4, 32, [1], 1, [1])
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self, shapes):\n"
        "        super().__init__()\n"
        "        for name, shape in shapes.items():\n"
        "            at, parts = self, name.split('.')\n"
        "            for part in parts[:-1]:\n"
        "                if not hasattr(at, part): at.add_module(part, torch.nn.Module())\n"
        "                at = getattr(at, part)\n"
        "            at.register_parameter(parts[-1], torch.nn.Parameter(torch.zeros(shape)))\n"
        "    def forward(self, x, t):\n"
        "        return x * t.reshape(-1, 1, 1, 1)\n"
    )
    shapes = {name: list(shape) for name, shape in tiny.shapes.items()}
    torch.save({name: torch.ones(shape) for name, shape in shapes.items()}, tmp_path / "net.pth")
    weights, out = tmp_path / "net.safetensors", tmp_path / "reference.safetensors"
    assert tools("convert", tmp_path / "net.pth", "-o", weights).returncode == 0
    export = ("export-reference", "--kind", "unet", "--module", f"{tmp_path}/net.py:Net", "--weights", weights,
              "--arguments", json.dumps({"shapes": shapes}), "--shape", "2x4x8x8", "--out", out)  # fmt: skip
    done = tools(*export, "--state", tmp_path / "net.pth", "--config", '{"heads": 4}')
    assert (done.returncode, done.stderr) == (0, "")
    tensors, metadata = read_safetensors(out)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "x": (2, 4, 8, 8), "t": (2,), "eps": (2, 4, 8, 8)
    }  # fmt: skip
    assert (metadata["kind"], metadata["weights"]) == ("unet", "net.safetensors")
    assert json.loads(metadata["config"])["heads"] == 4
    x = torch.frombuffer(bytearray(tensors["x"].read()), dtype=torch.float32).reshape(2, -1)
    t = torch.frombuffer(bytearray(tensors["t"].read()), dtype=torch.int64)
    eps = torch.frombuffer(bytearray(tensors["eps"].read()), dtype=torch.float32).reshape(2, -1)
    assert torch.equal(eps, x * t[:, None])
    for changes, says in (
        (("--state", weights), "--state is the module's own state dict"),
        (("--state", tmp_path / "net.pth", "--config", "3"), "is not a JSON object"),
        (("--state", tmp_path / "net.pth", "--shape", "2x4"), "should be like 1x3x64x96"),
        (("--state", tmp_path / "net.pth", "--kind", "resnet"), "is not of the kind 'resnet'"),
        (("--state", tmp_path / "net.pth", "--module", "nowhere:Net"), "No module named 'nowhere'"),
    ):
        wrong = tools(*export, *changes)
        assert wrong.returncode == 2 and says in wrong.stderr and wrong.stderr.count("\n") == 1
