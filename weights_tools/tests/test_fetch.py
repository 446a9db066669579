"""`fetch` against a server on this machine: going on after a break, other versions, wrong checksums, mirrors."""

from __future__ import annotations

import hashlib
import re
import resource
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from d3ad_weights import fetch as fetching
from d3ad_weights.fetch import Published, PublishedFile, download, fetch, mirrored, read_table
from d3ad_weights.refusal import Refusal

DATA = bytes(range(256)) * 4000


@dataclass
class Behaviour:
    data: bytes = DATA
    etag: str = '"one"'
    break_after: list[int] = field(default_factory=list)  # of each answer's body, then none
    status: list[int] = field(default_factory=list)
    knows_ranges: bool = True
    asked: list[str] = field(default_factory=list)  # the ranges


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    behaviour = Behaviour()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            behaviour.asked.append(wanted)
            if behaviour.status:
                self.send_error(behaviour.status.pop(0))
                return
            begin = 0
            match = re.fullmatch(r"bytes=(\d+)-", wanted)
            if match and behaviour.knows_ranges and self.headers.get("If-Range") == behaviour.etag:
                begin = int(match[1])
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begin}-{len(behaviour.data) - 1}/{len(behaviour.data)}")
            else:
                self.send_response(200)
            body = behaviour.data[begin:]
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", behaviour.etag)
            self.end_headers()
            self.wfile.write(body[: behaviour.break_after.pop(0)] if behaviour.break_after else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/models/w.pth", behaviour
        http.shutdown()
        thread.join()


def published(url: str, data: bytes = DATA, **changes: object) -> PublishedFile:
    known: dict[str, object] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    known.update(mib=None, sha256_begins=None)
    known.update(changes)
    return PublishedFile("w.pth", url, **known)  # type: ignore[arg-type]


def test_a_file_is_fetched_and_then_kept(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    table = {"w": Published("weights", "MIT", [published(url)])}
    assert fetch("w", tmp_path, table=table) == tmp_path / "w" / "w.pth"
    assert (tmp_path / "w" / "w.pth").read_bytes() == DATA
    assert fetch("w", tmp_path, table=table).read_bytes() == DATA
    assert behaviour.asked == [""]
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["w.pth"]
    with pytest.raises(Refusal, match="are called 'resnet34'; the nearest is 'resnet34-imagenet'; known are sd-vae"):
        fetch("resnet34", tmp_path)


def test_it_goes_on_where_it_broke_off(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.break_after = [300_000, 200_000]
    path, found = download(published(url), tmp_path, None)
    assert path.read_bytes() == DATA and found == hashlib.sha256(DATA).hexdigest()
    assert behaviour.asked == ["", "bytes=300000-", "bytes=500000-"]


def test_it_goes_on_in_another_run(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.break_after = [100_000] + [0] * (fetching.ATTEMPTS - 1)
    with pytest.raises(Refusal, match="interrupted after 100000 bytes .* the same command goes on from there"):
        download(published(url), tmp_path, None)
    assert not (tmp_path / "w.pth").exists()
    assert download(published(url), tmp_path, None)[0].read_bytes() == DATA
    assert behaviour.asked[-1] == "bytes=100000-"


def test_two_versions_are_never_mixed(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.break_after = [100_000] + [0] * (fetching.ATTEMPTS - 1)
    with pytest.raises(Refusal):
        download(published(url), tmp_path, None)
    behaviour.data, behaviour.etag = DATA[::-1], '"two"'
    assert download(published(url, DATA[::-1]), tmp_path, None)[0].read_bytes() == DATA[::-1]


def test_a_server_without_ranges_begins_anew(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.knows_ranges, behaviour.break_after = False, [100_000]
    assert download(published(url), tmp_path, None)[0].read_bytes() == DATA


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sha256": "0" * 64}, "expected 0000"),
        ({"sha256": None, "sha256_begins": "00000000"}, r"expected 00000000\.\.\."),
        ({"size": 5}, "gave 1024000 bytes, expected 5"),
        ({"size": None, "mib": 0.9}, "expected 0.9 MiB"),
    ],
)
def test_another_file_than_was_published_is_removed(
    server: tuple[str, Behaviour], tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    url, _ = server
    with pytest.raises(Refusal, match=says):
        download(published(url, **changes), tmp_path, None)  # type: ignore[arg-type]
    assert not (tmp_path / "w.pth").exists() and not (tmp_path / "w.pth.part").exists()


def test_a_kept_file_that_was_damaged_is_removed(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, _ = server
    (tmp_path / "w.pth").write_bytes(DATA[:-1] + b"x")
    with pytest.raises(Refusal, match="it was removed"):
        download(published(url), tmp_path, None)
    assert download(published(url), tmp_path, None)[0].read_bytes() == DATA


def test_a_full_disk(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    """Played by the limit on file sizes: a sentence, nothing under the file's name, and the same command goes on."""
    url, _ = server
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, before[1]))
    try:
        with pytest.raises(Refusal, match=r"cannot fetch '.*' into '.*': File too large"):
            download(published(url), tmp_path, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "w.pth").exists()
    assert download(published(url), tmp_path, None)[0].read_bytes() == DATA


def test_answers_of_a_server(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, behaviour = server
    behaviour.status = [404]
    with pytest.raises(Refusal, match="answers 404 Not Found; is there a --mirror"):
        download(published(url), tmp_path, None)
    behaviour.status = [503, 500]
    assert download(published(url), tmp_path, None)[0].read_bytes() == DATA
    with pytest.raises(Refusal, match="interrupted after 0 bytes"):
        download(published("http://127.0.0.1:9/w.pth"), tmp_path / "x", None)


def test_mirrors(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    url, _ = server
    host = url.rsplit("/models", 1)[0]
    assert mirrored("https://example.org/models/w.pth", host) == url
    assert mirrored("https://example.org/models/w.pth", host + "/") == url
    assert download(published("https://example.org/models/w.pth"), tmp_path, host)[0].read_bytes() == DATA
    (tmp_path / "mirror" / "models").mkdir(parents=True)
    (tmp_path / "mirror" / "models" / "w.pth").write_bytes(DATA)
    file = published("https://example.org/models/w.pth")
    assert download(file, tmp_path / "b", f"file://{tmp_path}/mirror")[0].read_bytes() == DATA
    with pytest.raises(Refusal, match="should begin with http"):
        download(file, tmp_path / "c", "ftp://example.org")


def test_the_table_is_whole() -> None:
    table = read_table()
    assert {"sd-vae-ft-mse", "taesd", "resnet34-imagenet", "wide_resnet101_2-imagenet"} <= set(table)
    for name, entry in table.items():
        assert entry.what and entry.licence and entry.files, name
        for file in entry.files:
            assert file.url.startswith("https://") and file.url.endswith("/" + file.name)
            assert "/" not in file.name and file.name not in (".", "..")
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            begins = re.fullmatch(r".*-([0-9a-f]{8})\.pth", file.name)
            if begins:  # torchvision's names say how the checksum begins
                assert (file.sha256 or file.sha256_begins or "").startswith(begins[1])
    assert "resnet34-b627a593.pth" in fetching.listing()
