"""`fetch`: published weights by a short name, from the addresses in published.json.

    fetch("resnet34-imagenet", cache=Path("~/.cache/d3ad"), mirror=None)     # -> the file, or the folder of several

A download that broke off goes on where it stopped (HTTP Range, and If-Range so that two versions are never mixed). What
arrives is measured and summed before it gets its name: a wrong size or checksum is refused and removed. The table says
`sha256` where the whole checksum is known, `sha256_begins` where the file's name tells its beginning, neither where
nothing is known; `mib` is a size given in MiB to three digits. The whole checksum is always printed.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .atomic_file import sync_folder
from .checkpoint import read_json, sha256
from .refusal import Refusal, nearest

TABLE = Path(__file__).with_name("published.json")
ATTEMPTS = 4  # at going on with a download that breaks off
PART = 1 << 18
SECONDS = 60.0  # of silence until a connection is given up


@dataclass(frozen=True)
class PublishedFile:
    name: str
    url: str
    size: int | None
    mib: float | None
    sha256: str | None
    sha256_begins: str | None

    def check(self, path: Path) -> str:
        """The file's checksum; Refusal where it is not the published file."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            raise Refusal(f"'{self.url}' gave {size} bytes, expected {self.size}; it was removed, nothing is kept of it")
        if self.mib is not None and abs(size / 2**20 - self.mib) > 0.001:
            raise Refusal(f"'{self.url}' gave {size} bytes, expected {self.mib} MiB; it was removed")
        found = sha256(path)
        expected = self.sha256 or self.sha256_begins
        if expected is not None and not found.startswith(expected):
            raise Refusal(
                f"'{self.url}' gave a file of SHA-256 {found}, expected {expected}{'' if self.sha256 else '...'}; "
                "it was removed: damaged on the way, or another file than was published"
            )
        return found


@dataclass(frozen=True)
class Published:
    what: str
    licence: str
    files: list[PublishedFile]


def read_table(path: Path = TABLE) -> dict[str, Published]:
    table = {}
    for name, entry in read_json(path).items():
        files = [
            PublishedFile(
                f["name"], f["url"], f.get("size"), f.get("mib"), f.get("sha256"), f.get("sha256_begins")
            )
            for f in entry["files"]
        ]
        table[name] = Published(entry["what"], entry["licence"], files)
    return table


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "d3ad" / "weights"


def mirrored(url: str, mirror: str | None) -> str:
    """The same path at another place."""
    if mirror is None:
        return url
    if urllib.parse.urlsplit(mirror).scheme not in ("http", "https", "file"):
        raise Refusal(f"--mirror '{mirror}' should begin with http://, https:// or file://")
    return mirror.rstrip("/") + urllib.parse.urlsplit(url).path


def _open(url: str, begin: int, etag: str) -> Any:
    headers = {"User-Agent": "d3ad-weights", "Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
        headers["If-Range"] = etag
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=SECONDS)


def _total(response: Any, begin: int) -> int | None:
    """How long the whole file is, as far as the server says; Refusal where it goes on elsewhere than asked."""
    if begin:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not match or int(match[1]) != begin:
            raise Refusal("the server answered with another part than was asked for; remove the cache and try again")
        return None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length")
    return int(length) if length and length.isdigit() else None


def _copy(response: Any, out: IO[bytes], at: int, total: int | None, name: str) -> int:
    show = sys.stderr.isatty()
    while data := response.read(PART):
        out.write(data)
        at += len(data)
        if show:
            of = f" of {total / 1e6:.1f}" if total else ""
            print(f"\r{name}: {at / 1e6:.1f}{of} MB", end="", file=sys.stderr, flush=True)
    if show:
        print(file=sys.stderr)
    return at


def _once(url: str, part: Path, etag_file: Path) -> bool:
    """Goes on with `part`; whether it is whole now."""
    etag = etag_file.read_text() if etag_file.exists() else ""
    begin = part.stat().st_size if part.exists() and etag else 0
    with _open(url, begin, etag) as response:
        if begin and getattr(response, "status", 200) != 206:
            begin = 0  # the server has another version, or knows no ranges
        total = _total(response, begin)
        etag = response.headers.get("ETag", "")
        if not etag or etag.startswith("W/"):  # a weak one does not promise equal bytes
            etag = response.headers.get("Last-Modified", "")
        etag_file.write_text(etag)
        with part.open("ab" if begin else "wb") as out:
            have = _copy(response, out, begin, total, part.name.removesuffix(".part"))
            out.flush()
            os.fsync(out.fileno())
    return total is None or have >= total


def download(file: PublishedFile, folder: Path, mirror: str | None) -> tuple[Path, str]:
    path, part, etag_file = folder / file.name, folder / f"{file.name}.part", folder / f"{file.name}.etag"
    url = mirrored(file.url, mirror)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            return path, _checked(file, path)
        _all_of(url, part, etag_file)
        found = _checked(file, part)
        part.replace(path)
        etag_file.unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        raise Refusal(f"cannot fetch '{url}' into '{folder}': {error.strerror or error}") from error
    return path, found


def _checked(file: PublishedFile, path: Path) -> str:
    try:
        return file.check(path)
    except Refusal:
        path.unlink()
        raise


def _all_of(url: str, part: Path, etag_file: Path) -> None:
    why = "it broke off"
    for _ in range(ATTEMPTS):
        try:
            if _once(url, part, etag_file):
                return
            why = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code == 416:  # nothing after what is here: begin anew
                part.unlink(missing_ok=True)
                why = "the server has less than was here"
                continue
            if error.code < 500:
                raise Refusal(f"'{url}' answers {error.code} {error.reason}; is there a --mirror that has it?") from error
            why = f"the server answers {error.code} {error.reason}"
        except urllib.error.URLError as error:
            why = str(error.reason)
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            why = str(error) or type(error).__name__
    have = part.stat().st_size if part.exists() else 0
    raise Refusal(f"'{url}' was interrupted after {have} bytes ({why}); the same command goes on from there")


def fetch(name: str, cache: Path, mirror: str | None = None, table: dict[str, Published] | None = None) -> Path:
    table = read_table() if table is None else table
    if name not in table:
        raise Refusal(f"no published weights are called '{name}'{nearest(table, name)}; known are {', '.join(table)}")
    entry = table[name]
    print(f"{name}: {entry.what}; licence: {entry.licence}")
    folder = cache / name
    for file in entry.files:
        path, found = download(file, folder, mirror)
        known = "as published" if file.sha256 else "begins as published" if file.sha256_begins else "none is known"
        print(f"  {path}: {path.stat().st_size} bytes, SHA-256 {found} ({known})")
    return folder / entry.files[0].name if len(entry.files) == 1 else folder


def listing() -> str:
    lines = []
    for name, entry in read_table().items():
        lines.append(f"{name}: {entry.what}; {entry.licence}")
        for f in entry.files:
            size = f"{f.size} bytes" if f.size else f"{f.mib} MiB" if f.mib else "size not known"
            known = f.sha256 or (f"{f.sha256_begins}..." if f.sha256_begins else "not known")
            lines.append(f"    {f.url}\n        {size}, SHA-256 {known}")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="*", help="short names; none: list what can be fetched")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where files are kept (%(default)s)")
    parser.add_argument("--mirror", help="take the same paths from here instead: http://, https:// or file://")


def run(arguments: argparse.Namespace) -> int:
    if not arguments.name:
        print(listing())
    for name in arguments.name:
        print(fetch(name, arguments.cache, arguments.mirror))
    return 0
