"""Files that are whole or not there: written under a temporary name beside the target, synced, then renamed.

    with atomic_file(Path("out.safetensors")) as out:
        out.write(b"...")                       # an exception, or a full disk, leaves the old file as it was
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from .refusal import Refusal


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise Refusal(f"cannot write '{path}': {error.strerror}") from error
    temporary = Path(name)
    try:
        with cast(BinaryIO, os.fdopen(handle, "wb")) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        # mkstemp makes files for their owner alone; ours are like any other file the user makes.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Refusal(f"cannot write '{path}': no space is left there; nothing was written") from error
        raise Refusal(f"cannot write '{path}': {error.strerror or error}; nothing was written") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """The new name outlives a power cut only once the folder is on the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
