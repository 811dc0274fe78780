"""What the benches of small data share: a collection's messages, a plain encoder, and a stranger's opinion."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from model.bundle import TOKENIZER
from model.domains import DomainLists
from model.encode import Encoder
from model.text import TextReader
from training import fusion
from training.corpora import Corpora
from training.examples import Example, decontaminated, of_rows, pick_rows
from training.export import write_files
from training.few import Seen
from training.finetune import base_folder, build
from training.gather import gather
from training.head import fit_head
from training.reading import Reader
from training.settings import TrainSettings
from training.texts import fit_window_weights, opened, read, shape

KIN = {"spamassassin": ("csdmc2010",), "enron_spam": ("enron_berkeley",)}
"""Collections with mail of the same people or years, which must not lend their opinion either."""
Tell = Callable[[str], None]


def drawn(collection: str, settings: TrainSettings, corpora: Path, most: int, tell: Tell) -> list[Example]:
    """Read at most `most` messages of a collection, one a campaign, in a drawn order."""
    every = Corpora.open(corpora, settings.cache)
    rows = [r for r in every.rows if r.archive == collection]
    ordered = [r for split in ("train", "dev") for r in pick_rows(rows, split, {}, settings.data.seed)]
    one_each = list({r.group: r for r in ordered}.values())
    order = np.random.default_rng(settings.data.seed).permutation(len(one_each))[:most]
    with Reader(settings.cache, DomainLists.load()) as reader:
        return of_rows(every, [one_each[i] for i in order], reader, tell)


def plain_encoder(settings: TrainSettings, folder: Path) -> Path:
    """Write the base encoder in int8, as it is served, into `folder` and return its file: nothing has trained it."""
    fine = settings.finetune.model_copy(update={"method": "head"})
    vocabulary = Encoder(Path(base_folder(fine.base)) / TOKENIZER, None, shape(fine)).vocabulary
    inner = folder / "plain"
    inner.mkdir()
    write_files(build(fine), np.zeros(vocabulary, dtype=np.float16), inner, fine.base, settings.export)
    return inner / "model.onnx"


def strangers(collection: str, examples: Sequence[Example], settings: TrainSettings, corpora: Path, encoder: Path,
              tell: Tell) -> Seen:  # fmt: skip
    """Read the messages, with the opinion of a head trained without the collection, its kin and its copies.

    Each fact adds a logit's worth to it, by its sign alone.
    """
    apart = (collection, *KIN.get(collection, ()))
    train = [e for e in gather(settings, corpora, tell).train if e.archive not in apart]
    train = decontaminated(train, examples, settings.data.near_duplicate)
    tell(f"an opinion from {len(train)} messages without {', '.join(apart)}")
    weights = fit_window_weights(train, settings.finetune)
    reader: TextReader = opened(encoder, weights, settings.finetune)
    bits, threads = settings.head.bits, settings.finetune.threads
    head = fit_head(read(reader, train, bits, threads), train, settings.head).head
    texts = read(reader, examples, bits, threads)
    said = np.array([float(head.logits(given)[0]) for given in texts])
    facts = [e.facts for e in examples]
    opinion = fusion.raw_logits(fusion.equal(settings.fusion), facts, said, 1.0, np.inf)
    return Seen(texts, facts, opinion)
