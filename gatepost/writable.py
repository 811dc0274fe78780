"""Whether a long command will be able to write its results: tried before the work, not after it."""

import os
import tempfile
from pathlib import Path


def folder_trouble(path: Path) -> str:
    """Return why no new folder can be made at `path`, in words that name the place; empty if one can.

    It is tried in the nearest folder above that is there: what root may do, and what /proc takes, no mode tells.
    """
    if os.path.lexists(path):
        return f"{path}: already exists; give a new folder, or remove this one"
    above = path.absolute().parent
    while not os.path.lexists(above):
        above = above.parent
    return _trouble(above, path)


def file_trouble(path: Path) -> str:
    """Return why no file can be written at `path`, over an old one or new; empty if one can.

    Its folder must be there.
    """
    if path.is_dir():
        return f"{path}: this is a folder; give the name of a file"
    if path.exists():
        return "" if os.access(path, os.W_OK) else f"{path}: cannot be written: Permission denied"
    above = path.absolute().parent
    if not above.exists():
        return f"{path}: there is no folder {above}; make it first"
    return _trouble(above, path)


def plainly(error: Exception, out: Path) -> str:
    """Return what went wrong; of the system's errors without number, and with what came of it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename2 or error.filename or out}: {error.strerror}; no model was written"
    return str(error)


def _trouble(folder: Path, wanted: Path) -> str:
    try:
        Path(tempfile.mkdtemp(prefix=".gatepost-", dir=folder)).rmdir()
    except OSError as error:
        return f"{wanted}: cannot be written in {folder}: {error.strerror or error}"
    return ""
