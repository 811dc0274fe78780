"""From a `Document` to the windows of token ids that the encoder reads.

A window is at most `max_tokens` ids: [CLS], the subject's first tokens, a slice of the rest, [SEP]. A long text gives
several: its head, its tail, and between them the slices that a linear model over single tokens finds most suspicious,
so that good words around a bad paragraph do not hide it. Beside them go the passages whose words the head weighs:
nearly all of it, since words cost little.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # read when the tokenizer starts its thread pool

from tokenizers import Tokenizer

from model.normalise import Document

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a document is cut. All in tokens, but `windows`, which is their greatest number, and `long`.

    Words are weighed by their presence in the subject, in the first and last of the body (`word_tokens`, a sixth of
    them from its end), and in the document's fact tokens. With 0, as in older bundles, they are those of the windows,
    link hosts among them, by how often each is said.

    A text of more than `long` slices (a window's worth each) is as bad as its opening, at the least.
    """

    max_tokens: int = 128
    windows: int = 4
    subject_tokens: int = 24
    fact_tokens: bool = False
    word_tokens: int = 0
    long: int = 12

    def __post_init__(self) -> None:
        if not 0 < self.subject_tokens < self.max_tokens - 16 or not 1 <= self.windows <= 8:
            raise ValueError(f"a window of {self.max_tokens} tokens cannot hold {self.subject_tokens} of the subject")
        if self.word_tokens < 0 or self.long < 1:
            raise ValueError(f"word_tokens {self.word_tokens} and long {self.long}: expected at least 0 and 1")


@dataclass(frozen=True, slots=True)
class Windows:
    """Token ids of each chosen window (1-D int64 arrays, head first) and how many slices the text had in all.

    `passages` are ids without special tokens, whose words are weighed; `opening` the same of the first slice alone.
    """

    ids: tuple[Ids, ...]
    slices: int
    passages: tuple[Ids, ...]
    opening: tuple[Ids, ...]


class Encoder:
    """A tokenizer with the weights that choose windows. `weights`: float vector over the vocabulary."""

    def __init__(self, tokenizer: Path, weights: NDArray[np.float32] | None, shape: Shape) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._weights = weights
        self.shape = shape
        self._cls = self._special("[CLS]", "<s>")
        self._sep = self._special("[SEP]", "</s>")
        self.unknown = self._special("[UNK]", "<unk>")

    def _special(self, *names: str) -> int:
        for name in names:
            token = self._tokenizer.token_to_id(name)
            if token is not None:
                return int(token)
        raise ValueError(f"the tokenizer has no {names[0]} token")

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        return int(self._tokenizer.get_vocab_size())

    def tokens(self, text: str) -> Ids:
        """Return the token ids of a text, without special tokens."""
        # the batch call alone can leave out where each token stood, which takes a quarter of the time
        (encoding,) = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return np.asarray(encoding.ids, dtype=np.int64)

    def encode(self, document: Document) -> Windows:
        """Cut a document into at most `shape.windows` windows; always at least one."""
        head = document.subject
        if self.shape.fact_tokens and document.fact_tokens:
            head = " ".join((*document.fact_tokens, head))
        prefix = self.tokens(head)[: self.shape.subject_tokens]
        body = self.tokens(document.body)
        rest = np.concatenate((body, self.tokens(" ".join(document.hosts))))
        room = self.shape.max_tokens - 2 - len(prefix)
        starts = self._starts(rest, room)
        ids = tuple(np.concatenate(([self._cls], prefix, rest[at : at + room], [self._sep])).astype(np.int64)
                    for at in starts)
        slices = max(1, -(-len(rest) // room))
        if not self.shape.word_tokens:
            spoken = tuple(window[1:-1] for window in ids)
            return Windows(ids, slices, spoken, spoken[:1])
        facts = () if self.shape.fact_tokens else (self.tokens(" ".join(document.fact_tokens)),)
        return Windows(ids, slices, (np.concatenate((prefix, self._ends(body))), *facts),
                       (np.concatenate((prefix, body[:room])), *facts))

    def _ends(self, body: Ids) -> Ids:
        """Keep head and tail of a long text."""
        most = self.shape.word_tokens
        return body if len(body) <= most else np.concatenate((body[: most - most // 6], body[-(most // 6) :]))

    def _starts(self, rest: Ids, room: int) -> list[int]:
        """Choose where windows begin: head, tail, then the slices of greatest linear weight."""
        if len(rest) <= room:
            return [0]
        tail = len(rest) - room
        if self.shape.windows == 1:
            return [0]
        inner = np.arange(room, tail, room)
        free = self.shape.windows - 2
        if len(inner) > free:
            if self._weights is None or free == 0:
                inner = inner[:free]
            else:
                # cumulative sums make the pass linear in the text, however many slices there are
                sums = np.concatenate(([0.0], np.cumsum(self._weights[rest], dtype=np.float64)))
                totals = sums[inner + room] - sums[inner]
                inner = np.sort(inner[np.argsort(-totals, kind="stable")[:free]])
        return [0, *map(int, inner), tail]

    def unknown_share(self, text: str) -> float:
        """Return the share of token ids that the vocabulary does not know (0 for an empty text)."""
        ids = self.tokens(text)
        return float(np.mean(ids == self.unknown)) if len(ids) else 0.0
