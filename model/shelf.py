"""The models of an installation on disk: immutable bundles by version, and a pointer to the one that serves.

    STORE/versions/VERSION/    a bundle, never changed once it has its name
    STORE/current              symbolic link to versions/VERSION; without it the shipped bundle serves

Rule 1: a version gets its name by one rename, after its hashes and golden scores were proved where it lies.
Rule 2: `current` changes by one rename over the old link, so a reader sees the old or the new and nothing between.
Rule 3: who changes anything holds `locked()`.

Folders are made 0755 and files 0644, so that a gateway under another account can read what root promoted, and
change nothing of it.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from model.bundle import DEFAULT, MANIFEST, Bundle, BundleError, digest

CURRENT = "current"
VERSIONS = "versions"
LOCK = ".lock"
SHIPPED = "shipped"
"""What stands for the bundle that came with Gatepost where a version is asked for."""
_INCOMING = ".incoming-"
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


class ShelfError(Exception):
    """The model store cannot be read or changed; the text names the path and what to do."""


class Busy(ShelfError):
    """Somebody else is switching models at this moment."""


class Choice(Protocol):
    """The `[model]` table: a pinned bundle, or a store with its pointer."""

    @property
    def path(self) -> str:
        """Folder of a bundle that wins over the store; empty for none."""

    @property
    def store(self) -> Path:
        """Folder of the store."""


def resolve(choice: Choice) -> Path:
    """Return the folder of the bundle that is to serve. Raises ShelfError where the pointer leads nowhere."""
    return Path(choice.path) if choice.path else Shelf(choice.store).serving


@dataclass(frozen=True, slots=True)
class Shelf:
    """One model store. Nothing is made until something is added."""

    root: Path

    @property
    def current(self) -> str | None:
        """Version that the pointer names; None where there is no pointer. Raises ShelfError."""
        link = self.root / CURRENT
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise ShelfError(f"{link}: {error.strerror}: this account may not read the model store") from None
        except OSError as error:
            raise ShelfError(f"{link}: expected a symbolic link to {VERSIONS}/VERSION: {error.strerror}; "
                             "remove it, and the shipped model serves") from None
        folder, _, version = target.rpartition("/")
        if folder != VERSIONS or not _VERSION.fullmatch(version):
            raise ShelfError(f"{link}: points to {target!r}, expected {VERSIONS}/VERSION; "
                             f"gatepost model rollback --to VERSION (or --to {SHIPPED}) sets it anew")
        return version

    @property
    def serving(self) -> Path:
        """Folder of the bundle that the pointer names, else of the shipped one. Raises ShelfError if it dangles."""
        version = self.current
        if version is None:
            return DEFAULT
        folder = self.path_of(version)
        if not folder.is_dir():
            raise ShelfError(f"{self.root / CURRENT}: points to {VERSIONS}/{version}, which is not there; "
                             f"gatepost model rollback --to VERSION (or --to {SHIPPED}) sets it anew")
        return folder

    def versions(self) -> list[str]:
        """Return the stored versions by name; none where there is no store. Raises ShelfError."""
        try:
            names = [p.name for p in (self.root / VERSIONS).iterdir() if p.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ShelfError(f"{self.root / VERSIONS}: {error.strerror}") from None
        return sorted(name for name in names if _VERSION.fullmatch(name))

    def path_of(self, version: str) -> Path:
        """Return the folder of a version, stored or not. Raises ShelfError for what cannot be a version."""
        if not _VERSION.fullmatch(version):
            raise ShelfError(f"{version!r} cannot be a version: letters, digits and . _ + - only, at most 100")
        return self.root / VERSIONS / version

    def folder_of(self, version: str) -> Path:
        """Return the folder of a stored version, or of the shipped one by its name or as `shipped`.

        Raises ShelfError if there is none.
        """
        if version == SHIPPED:
            return DEFAULT
        if (found := self.path_of(version)).is_dir():
            return found
        if Bundle.open(DEFAULT).version == version:
            return DEFAULT
        known = ", ".join([SHIPPED, *self.versions()])
        raise ShelfError(f"{version}: no such version in {self.root}; there are: {known}")

    # --- changing

    def make(self) -> None:
        """Make the folders. Raises ShelfError if they cannot be made or written."""
        for folder in (self.root, self.root / VERSIONS):
            try:
                if not folder.is_dir():
                    folder.mkdir(mode=0o755, parents=True)
                    folder.chmod(0o755)  # whatever the umask
            except OSError as error:
                raise ShelfError(f"{folder}: cannot be made: {error.strerror}") from None
            if not os.access(folder, os.W_OK | os.X_OK):
                raise ShelfError(f"{folder}: this account may not write there; promote as its owner or as root")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who changes the store. Raises Busy at once if another is at it, or ShelfError."""
        self.make()
        path = self.root / LOCK
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ShelfError(f"{path}: cannot be written: {error.strerror}") from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
                raise Busy(f"{path}: another command (process {owner}) is switching models; "
                           "wait for it, then look at: gatepost model list") from None
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(lock)

    def add(self, source: Path) -> Bundle:
        """Copy a bundle in, prove the copy on this machine, and give it its name; return it as stored.

        The same bundle again is no fault. Raises ShelfError, or BundleError if it cannot serve here.
        """
        from model.score import Scorer, verify  # onnxruntime: only who adds a model needs it

        self.make()
        given = Bundle.open(source)
        target = self.path_of(given.version)
        if target.exists():
            return self._same(given, target)
        self._clear()
        work = self.root / VERSIONS / f"{_INCOMING}{secrets.token_hex(4)}"
        try:
            _copy(given, work)
            verify(Scorer(Bundle.open(work)))
            work.rename(target)
            _sync(target.parent)
        except OSError as error:
            raise ShelfError(f"{error.filename or work}: cannot be written: {error.strerror}") from None
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return Bundle.open(target)

    def _same(self, given: Bundle, target: Path) -> Bundle:
        if digest(given.path / MANIFEST) != digest(target / MANIFEST):
            raise ShelfError(f"{target}: there is another bundle of version {given.version} already; "
                             f"a version is never changed, give {given.path} another one")
        return Bundle.open(target)

    def _clear(self) -> None:
        """Remove what an interrupted copy left."""
        for left in (self.root / VERSIONS).glob(f"{_INCOMING}*"):
            shutil.rmtree(left, ignore_errors=True)

    def point(self, version: str | None) -> None:
        """Let a stored version serve, or with None the shipped one. Atomic and durable. Raises ShelfError."""
        link = self.root / CURRENT
        try:
            if version is None:
                link.unlink(missing_ok=True)
            else:
                if not self.path_of(version).is_dir():
                    raise ShelfError(f"{self.path_of(version)}: no such version")
                fresh = self.root / f".{CURRENT}-{secrets.token_hex(4)}"
                fresh.symlink_to(f"{VERSIONS}/{version}")
                fresh.replace(link)
            _sync(self.root)
        except OSError as error:
            raise ShelfError(f"{link}: cannot be set: {error.strerror}") from None


def pointer_mark(root: Path) -> tuple[int, int, int]:
    """Return what changes whenever the pointer is set anew, even to the same version; zeros for no pointer."""
    try:
        found = os.lstat(root / CURRENT)
    except OSError:
        return 0, 0, 0
    return found.st_dev, found.st_ino, found.st_mtime_ns


def pointer_text(mark: tuple[int, int, int]) -> str:
    """Return a mark as text, to be compared; empty for no pointer."""
    return "-".join(f"{n:x}" for n in mark) if any(mark) else ""


def _copy(bundle: Bundle, work: Path) -> None:
    """Copy the named files and the manifest, nothing else that may lie there; each is on disk when it returns."""
    work.mkdir(mode=0o755)
    work.chmod(0o755)
    for name in (*bundle.files, MANIFEST):
        made = work / name
        shutil.copyfile(bundle.path / name, made)
        made.chmod(0o644)
        _sync(made)
    _sync(work)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def stored(shelf: Shelf) -> Iterator[tuple[str, Bundle | BundleError]]:
    """Yield every stored version with its bundle, or with what is wrong with it."""
    for version in shelf.versions():
        try:
            yield version, Bundle.open(shelf.path_of(version))
        except BundleError as error:
            yield version, error
