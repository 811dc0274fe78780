"""Frozen embeddings of documents, kept between runs: the mean of the base encoder over a message's first window."""

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.bundle import TOKENIZER
from model.encode import Encoder, Ids, Shape
from model.normalise import VERSION, Document
from training.settings import FinetuneSettings

FILE = "embeddings.sqlite"
BATCH = 32
_LOOK_UP = 500
"""Keys a query: SQLite allows 999 in its older builds."""

Vectors = NDArray[np.float32]


class Embedder:
    """Embeds documents through a store in the cache. Needs torch for what is not there yet."""

    def __init__(self, cache: Path, settings: FinetuneSettings) -> None:
        """Open the store below `cache`, mode 0700. Raises OSError or sqlite3.Error."""
        from training.finetune import base_folder

        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._settings = settings
        folder = Path(base_folder(settings.base))
        self._encoder = Encoder(folder / TOKENIZER, None, Shape(max_tokens=settings.max_tokens, windows=1))
        self._mark = f"{_mark(folder)}:{settings.max_tokens}:{VERSION}"
        self._learner: Any = None
        self._path = cache / FILE

    def of(self, documents: Sequence[Document]) -> Vectors:
        """Return unit vectors float32 [n, width], as float16 kept them."""
        keys = [hashlib.sha256(f"{self._mark}\0{d.text}".encode()).digest() for d in documents]
        store = sqlite3.connect(self._path, timeout=60)
        try:
            store.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, value BLOB NOT NULL)")
            known = _known(store, keys)
            fresh = {
                k: self._encoder.encode(d).ids[0] for k, d in zip(keys, documents, strict=True) if k not in known
            }
            made = dict(zip(fresh, self._embed(list(fresh.values())), strict=True))
            with store:
                store.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?)", [(k, v.tobytes()) for k, v in made.items()]
                )
        finally:
            store.close()
        rows = [made[k] if k in made else known[k] for k in keys]
        return np.stack(rows).astype(np.float32) if rows else np.empty((0, 0), dtype=np.float32)

    def _embed(self, windows: Sequence[Ids]) -> list[NDArray[np.float16]]:
        if not windows:
            return []
        import torch

        from training.finetune import build, padded

        if self._learner is None:
            torch.set_num_threads(self._settings.threads)
            self._learner = build(self._settings.model_copy(update={"method": "head"})).eval()
        out: list[NDArray[np.float16]] = [np.empty(0, dtype=np.float16)] * len(windows)
        order = sorted(range(len(windows)), key=lambda n: len(windows[n]))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._settings.bf16):
            for start in range(0, len(order), BATCH):
                part = order[start : start + BATCH]
                found = self._learner.embedding(*padded([windows[n] for n in part])).float().numpy()
                for n, vector in zip(part, found, strict=True):
                    out[n] = vector.astype(np.float16)
        return out


def forget(cache: Path) -> int:
    """Drop every vector and return how many there were: none says of which message it is. Raises sqlite3.Error."""
    path = cache / FILE
    if not path.exists():
        return 0
    store = sqlite3.connect(path, timeout=60)
    try:
        store.execute("PRAGMA secure_delete=ON")
        with store:
            store.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, value BLOB NOT NULL)")
            return store.execute("DELETE FROM vectors").rowcount
    finally:
        store.close()


def _known(store: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float16]]:
    found: dict[bytes, NDArray[np.float16]] = {}
    for start in range(0, len(keys), _LOOK_UP):
        part = keys[start : start + _LOOK_UP]
        marks = ",".join("?" * len(part))
        rows = store.execute(f"SELECT key, value FROM vectors WHERE key IN ({marks})", part)  # noqa: S608 - only ?
        found.update((key, np.frombuffer(value, dtype=np.float16)) for key, value in rows)
    return found


def _mark(folder: Path) -> str:
    """Tell one base from another by its files; a hub id by its name."""
    total = hashlib.sha256(b"" if folder.is_dir() else str(folder).encode())
    for path in sorted(folder.glob("*")):
        if path.is_file():
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]
