"""`convert`: every kind of input, names and storage; and files of PyTorch's that are refused before PyTorch sees them."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from conftest import tensors_of
from d3ad_weights import architectures as known
from d3ad_weights.checkpoint import read_checkpoint, sha256
from d3ad_weights.convert import convert
from d3ad_weights.pickled import check_archive, wanted_globals
from d3ad_weights.refusal import Refusal
from d3ad_weights.safetensors_file import Tensor, Tensors, read_safetensors, write_safetensors

VAE = known.autoencoder_kl([32, 64], 1, 4)


def numbered(tensors: Tensors) -> Tensors:
    """Each tensor of another number, in float."""

    def filled(value: float, tensor: Tensor) -> Tensor:
        count = tensor.size // 2
        return Tensor("F32", tensor.shape, lambda: struct.pack("<f", value) * count)

    return {name: filled(float(i), tensors[name]) for i, name in enumerate(sorted(tensors))}


def write(path: Path, tensors: Tensors) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(path, tensors, {})
    return path


def content(path: Path) -> dict[str, bytes]:
    return {name: tensor.read() for name, tensor in read_safetensors(path)[0].items()}


def test_names_are_kept_without_prefix_or_put_into_any_spelling(tmp_path: Path) -> None:
    own = numbered(tensors_of(VAE, "diffusers"))
    write(tmp_path / "own.safetensors", own)
    out = tmp_path / "out.safetensors"
    for spelling in ("diffusers-old", "compvis", "diffusers", "d3ad"):
        convert([tmp_path / "own.safetensors"], out, names=spelling)
        want = {"d3ad": "diffusers"}.get(spelling, spelling)
        assert {n: t.shape for n, t in read_safetensors(out)[0].items()} == {
            n: t.shape for n, t in tensors_of(VAE, want).items()
        }
        back = tmp_path / "back.safetensors"
        prefixed = {f"module.{name}": tensor for name, tensor in read_safetensors(out)[0].items()}
        write(tmp_path / "prefixed.safetensors", prefixed)
        convert([tmp_path / "prefixed.safetensors"], back, names="d3ad")
        assert content(back) == content(tmp_path / "own.safetensors")
        convert([tmp_path / "prefixed.safetensors"], back)
        assert content(back) == content(out)


def test_the_metadata_say_where_it_is_from(tmp_path: Path) -> None:
    source = write(tmp_path / "own.safetensors", numbered(tensors_of(VAE, "diffusers")))
    line = convert([source], tmp_path / "out.safetensors", dtype="half")
    assert "AutoencoderKL" in line and "124 tensors" in line
    tensors, metadata = read_safetensors(tmp_path / "out.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {"F16"}
    assert metadata["architecture"] == "AutoencoderKL"
    assert json.loads(metadata["config"])["block_out_channels"] == [32, 64]
    assert (metadata["source"], metadata["source_sha256"]) == ("own.safetensors", sha256(source))


def test_shards_folders_and_whole_pipelines(tmp_path: Path) -> None:
    tensors = numbered(tensors_of(VAE, "diffusers"))
    names = sorted(tensors)
    vae = tmp_path / "pipeline" / "vae"
    write(vae / "a.safetensors", {n: tensors[n] for n in names[::2]})
    write(vae / "b.safetensors", {n: tensors[n] for n in names[1::2]})
    index = vae / "diffusion_pytorch_model.safetensors.index.json"
    weight_map = {n: "ab"[i % 2] + ".safetensors" for i, n in enumerate(names)}
    index.write_text(json.dumps({"weight_map": weight_map}))
    (tmp_path / "pipeline" / "model_index.json").write_text("{}")
    want = {name: tensor.read() for name, tensor in tensors.items()}
    for given in (index, vae, tmp_path / "pipeline"):
        convert([given], tmp_path / "out.safetensors")
        assert content(tmp_path / "out.safetensors") == want
    # What no shape tells goes along, and is still there after another conversion.
    (vae / "config.json").write_text(json.dumps({"norm_num_groups": 8, "scaling_factor": 0.5, "sample_size": 3}))
    for given in (index, vae, tmp_path / "pipeline", tmp_path / "out.safetensors"):
        convert([given], tmp_path / "out.safetensors")
        config = json.loads(read_safetensors(tmp_path / "out.safetensors")[1]["config"])
        assert (config["norm_num_groups"], config["scaling_factor"], "sample_size" in config) == (8, 0.5, False)
    for text, says in (('{"shift_factor": 0.1}', "has a shift_factor"), ("[]", "is not a JSON object")):
        (vae / "config.json").write_text(text)
        with pytest.raises(Refusal, match=says):
            convert([vae], tmp_path / "out.safetensors")
    (vae / "config.json").unlink()
    index.write_text(json.dumps({"weight_map": {**weight_map, names[0]: "b.safetensors"}}))
    with pytest.raises(Refusal, match="which '.*' does not say"):
        read_checkpoint([index])
    index.write_text(json.dumps({"weight_map": {**weight_map, "more.weight": "b.safetensors"}}))
    with pytest.raises(Refusal, match="'more.weight' is in 'b.safetensors', but it is not"):
        read_checkpoint([index])
    for shard in ("../x.safetensors", "/etc/passwd", "..", "a/../b.safetensors", "", "a\\b.safetensors"):
        index.write_text(json.dumps({"weight_map": {"a": shard}}))
        with pytest.raises(Refusal, match="shards lie in the index's own folder"):
            read_checkpoint([index])
    for text in ("[]", "{}", "{", '{"weight_map": {"a": 1}}'):
        index.write_text(text)
        with pytest.raises(Refusal):
            read_checkpoint([index])


def test_taesds_two_files_are_one_network(tmp_path: Path) -> None:
    tiny = known.tiny_autoencoder(width=8)
    tensors = numbered(tensors_of(tiny, "taesd"))
    halves = [
        write(tmp_path / f"taesd_{part}.safetensors",
              {n.removeprefix(f"{part}."): t for n, t in tensors.items() if n.startswith(part)})
        for part in ("decoder", "encoder")
    ]  # fmt: skip
    convert(halves, tmp_path / "out.safetensors")
    assert content(tmp_path / "out.safetensors") == {name: tensor.read() for name, tensor in tensors.items()}
    with pytest.raises(Refusal, match="one named \\*encoder\\*, one named \\*decoder\\*"):
        read_checkpoint([halves[0], tmp_path / "x.safetensors"])
    with pytest.raises(Refusal, match="are both a decoder"):
        read_checkpoint([halves[0], halves[0]])
    with pytest.raises(Refusal, match="TAESD's pair only"):
        read_checkpoint([*halves, halves[0]])


def test_bad_requests_are_sentences_and_leave_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "r.safetensors", numbered(tensors_of(known.resnet("resnet18", 8, 10), "torchvision")))
    other = tmp_path / "r.h5"
    other.write_bytes(b"x")
    for given, out, names, says in (
        (source, "out.pth", "keep", "should end in .safetensors"),
        (source, "out.safetensors", "compvis", "has no spelling 'compvis'; it has torchvision"),
        (tmp_path / "no.pth", "out.safetensors", "keep", "there is no file"),
        (tmp_path, "out.safetensors", "keep", "is it a diffusers folder"),
        (other, "out.safetensors", "keep", "ends in '.h5', expected .safetensors"),
    ):
        with pytest.raises(Refusal, match=says):
            convert([given], tmp_path / out, names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.h5", "r.safetensors"]


# ---- files of PyTorch's ----


class Runs:
    """Unpickled, it would make a folder."""

    def __init__(self, sign: str) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.sign,)


def archive(path: Path, data: bytes, name: str = "archive/data.pkl") -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, data)
        file.writestr("archive/data/0", bytes(1000))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_wants_to_run_code_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    sign = tmp_path / "was run"
    hostile = pickle.dumps({"conv1.weight": Runs(str(sign))}, protocol=protocol)
    assert any(name.endswith(" mkdir") for name in wanted_globals(hostile))
    paths = [archive(tmp_path / "zip.pth", hostile)]
    if protocol >= 2:
        (tmp_path / "bare.pth").write_bytes(hostile)
        parts: list[object] = [0x1950A86A20F9469CFC6C, 1001, {}]  # magic number, protocol, system
        header = b"".join(pickle.dumps(part, protocol=protocol) for part in parts)
        (tmp_path / "old.pth").write_bytes(header + hostile)
        paths += [tmp_path / "bare.pth", tmp_path / "old.pth"]
    for path in paths:
        with pytest.raises(Refusal, match="wants to run code: it names '(posix|nt).mkdir'"):
            convert([path], tmp_path / "out.safetensors")
    assert not sign.exists() and not (tmp_path / "out.safetensors").exists()


def test_a_pickle_cannot_hide_what_it_names(tmp_path: Path) -> None:
    # Names by STACK_GLOBAL out of the memo, and a second .pkl in the archive.
    hidden = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x30\x30h\x00h\x01\x93\x8c\x04true\x85R."
    assert wanted_globals(hidden) == {"posix system"}
    put = b"\x80\x04\x8c\x05posixq\x05\x8c\x06systemq\x06\x30\x30h\x05h\x06\x93."
    assert wanted_globals(put) == {"posix system"}
    with pytest.raises(Refusal, match="'posix.system'"):
        check_archive(archive(tmp_path / "x.pth", hidden))
    path = archive(tmp_path / "y.pth", pickle.dumps(OrderedDict()))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/constants.pkl", hidden)
    with pytest.raises(Refusal, match="'posix.system'"):
        check_archive(path)
    assert wanted_globals(b"\x82\x01.") == {"copyreg extension 1"}


def test_what_weights_need_is_allowed(tmp_path: Path) -> None:
    check_archive(archive(tmp_path / "x.pth", pickle.dumps(OrderedDict(a=1))))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.pth", pickle.dumps(OrderedDict(a=1)))
    whole = path.read_bytes()
    for length in (0, 1, 3, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(Refusal):
            check_archive(path)
    flipped = bytearray(whole)
    flipped[whole.index(bytes(1000)) + 500] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(Refusal, match=r"'archive/data/0' in it is damaged \(wrong checksum\)"):
        check_archive(path)
    for text, says in ((b"hello, world", "neither a zip archive nor a pickle"), (b"\x80\x02junk", "no pickle")):
        path.write_bytes(text)
        with pytest.raises(Refusal, match=says):
            check_archive(path)
    with pytest.raises(Refusal, match="without 'data.pkl'"):
        check_archive(archive(path, b"", "readme.txt"))
    with pytest.raises(Refusal, match="damaged or cut short"):
        check_archive(archive(path, pickle.dumps(OrderedDict(a=1))[:-1]))
    with pytest.raises(Refusal, match="cannot read"):
        check_archive(tmp_path / "none.pth")


# ---- with PyTorch, where it is installed ----


def test_state_dicts_of_pytorch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    types = {"F16": torch.float16, "F32": torch.float32}
    network = known.resnet("resnet18", 8, 10)
    state = {
        name: torch.arange(tensor.size // 4).reshape(tensor.shape).to(types[tensor.dtype])
        for name, tensor in numbered(tensors_of(network, "torchvision")).items()
    }
    state["bn1.num_batches_tracked"] = torch.tensor(3)
    state["conv1.weight"] = state["conv1.weight"].transpose(2, 3)  # not contiguous
    out = tmp_path / "out.safetensors"
    want = {name: value.contiguous().numpy().tobytes() for name, value in state.items()}
    wrapped = {f"module.{name}": torch.nn.Parameter(v) if v.is_floating_point() else v for name, v in state.items()}
    for ending, saved, old in ((".pth", state, False), (".ckpt", {"epoch": 1, "state_dict": wrapped}, False),
                               (".bin", state, True), (".pt", {"model": state}, False)):  # fmt: skip
        path = tmp_path / f"w{ending}"
        torch.save(saved, path, _use_new_zipfile_serialization=not old)
        convert([path], out)
        assert content(out) == want
    for bad, says in (([1], "holds a list"), ({"a": 1}, "holds no tensors under names")):
        torch.save(bad, tmp_path / "bad.pth")
        with pytest.raises(Refusal, match=says):
            convert([tmp_path / "bad.pth"], out)


def test_whole_modules_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(Refusal, match="wants to run code: it names .*'torch.nn.modules.linear.Linear'"):
        convert([tmp_path / "module.pth"], tmp_path / "out.safetensors")
