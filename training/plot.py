"""The curve of a run as a PNG, drawn with numpy: a picture of two lines is no reason for a plotting library.

Losses are the vertical axis, from 0 up; steps are the horizontal one. The dark line is training, the dots are watched
mail. Numbers at the axes are drawn from a font of three by five dots.
"""

import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Points = Sequence[tuple[int, float]]
Pixels = NDArray[np.uint8]

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 20, 40
MARKS = 5
"""Numbers at each axis."""
DOT = 2
"""Size of a dot of the font, in pixels."""
INK, LINE, DOTS, GRID = (40, 40, 40), (11, 110, 79), (193, 68, 14), (225, 225, 225)
_FONT = {
    "0": "75557", "1": "22222", "2": "71747", "3": "71717", "4": "55711", "5": "74717", "6": "74757", "7": "71111",
    "8": "75757", "9": "75717", ".": "00002",
}  # fmt: skip
"""Five rows of three dots a sign, each row a number whose bits are the dots."""


def draw(path: Path, trained: Points, watched: Points) -> None:
    """Write the picture of a run's losses by step. With no point the axes stand alone. Raises OSError."""
    steps = max([1, *(step for step, _ in (*trained, *watched))])
    top = max([0.1, *(loss for _, loss in (*trained, *watched) if np.isfinite(loss))]) * 1.05
    page: Pixels = np.full((HEIGHT, WIDTH, 3), 255, dtype=np.uint8)

    def place(step: float, loss: float) -> tuple[int, int]:
        x = LEFT + step / steps * (WIDTH - LEFT - RIGHT)
        return round(x), round(HEIGHT - BOTTOM - min(loss, top) / top * (HEIGHT - TOP - BOTTOM))

    for mark in range(MARKS + 1):
        loss, step = top * mark / MARKS, round(steps * mark / MARKS)
        x, y = place(step, loss)
        page[y, LEFT : WIDTH - RIGHT] = GRID
        page[TOP : HEIGHT - BOTTOM, x] = GRID
        _write(page, f"{loss:.2f}", 8, y - 5)
        _write(page, str(step), x - 4 * DOT * len(str(step)) // 2, HEIGHT - BOTTOM + 10)
    finite = [place(step, loss) for step, loss in trained if np.isfinite(loss)]
    for one, other in pairwise(finite):
        _line(page, one, other)
    for x, y in (place(step, loss) for step, loss in watched if np.isfinite(loss)):
        page[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5] = DOTS
    path.write_bytes(_png(page))


def _line(page: Pixels, one: tuple[int, int], other: tuple[int, int]) -> None:
    count = max(abs(one[0] - other[0]), abs(one[1] - other[1])) + 1
    xs = np.linspace(one[0], other[0], count).round().astype(int)
    ys = np.linspace(one[1], other[1], count).round().astype(int)
    for shift in (0, 1):
        page[np.clip(ys + shift, 0, HEIGHT - 1), np.clip(xs, 0, WIDTH - 1)] = LINE


def _write(page: Pixels, text: str, x: int, y: int) -> None:
    for at, sign in enumerate(text):
        for row, bits in enumerate(_FONT[sign][:5]):
            for column in range(3):
                if int(bits) >> (2 - column) & 1:
                    left, top = x + (4 * at + column) * DOT, y + row * DOT
                    page[max(0, top) : top + DOT, max(0, left) : left + DOT] = INK


def _png(page: Pixels) -> bytes:
    """Encode RGB pixels [h, w, 3] (PNG, RFC 2083: header, one compressed block of rows without filter, end)."""
    rows = b"".join(b"\0" + row.tobytes() for row in page)
    header = struct.pack(">IIBBBBB", page.shape[1], page.shape[0], 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    blocks = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
              for name, data in parts)  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(blocks)
