"""Linear models over text: the one that chooses windows when serving, and the baseline to beat.

Both are logistic regressions; the first over word pieces of the encoder's own vocabulary, the second over TF-IDF of
words and word pairs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

HEAD_TOKENS = 2_000
"""Tokens of a message that count: a pasted book must not outweigh a hundred letters."""


def window_weights(
    tokens: Sequence[Ids], bad: NDArray[np.int64], weight: Floats, vocabulary: int
) -> NDArray[np.float16]:
    """Weight of each word piece towards bad, float16 [vocabulary]; a window's sum of them ranks it."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    columns, values, ends = [], [], [0]
    for ids in tokens:
        unique, counts = np.unique(ids[:HEAD_TOKENS], return_counts=True)
        value = np.log1p(counts)
        columns.append(unique)
        values.append(value / max(1e-9, float(np.linalg.norm(value))))
        ends.append(ends[-1] + len(unique))
    table = csr_matrix((np.concatenate(values), np.concatenate(columns), ends), shape=(len(tokens), vocabulary))
    fitted = LogisticRegression(C=3.0, max_iter=400).fit(table, bad, sample_weight=weight)
    return np.asarray(fitted.coef_[0], dtype=np.float16)


class TfidfBaseline:
    """TF-IDF and logistic regression: what any encoder has to beat."""

    def __init__(self, texts: Sequence[str], bad: NDArray[np.int64], weight: Floats) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        self._vectors: Any = TfidfVectorizer(ngram_range=(1, 2), min_df=2, max_features=60_000, sublinear_tf=True)
        table = self._vectors.fit_transform(texts)
        self._model: Any = LogisticRegression(C=10.0, max_iter=400).fit(table, bad, sample_weight=weight)

    def p_bad(self, texts: Sequence[str]) -> Floats:
        """Probability of bad for each text."""
        if not len(texts):
            return np.empty(0)
        return np.asarray(self._model.predict_proba(self._vectors.transform(texts))[:, 1], dtype=np.float64)


def identity_accuracy(
    texts: Sequence[str], origin: Sequence[str], groups: Sequence[str], seed: int
) -> tuple[float, float]:
    """How well a linear model tells which collection a text of one class is from, by held-out groups.

    Returns balanced accuracy and what guessing gives. The nearer to guessing, the less a filter can learn the
    collector in place of the mail.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    line = make_pipeline(
        TfidfVectorizer(min_df=2, max_features=20_000, sublinear_tf=True),
        LogisticRegression(max_iter=200, class_weight="balanced", random_state=seed),
    )
    told = cross_val_predict(line, list(texts), list(origin), groups=list(groups), cv=GroupKFold(3))
    return float(balanced_accuracy_score(origin, told)), 1 / len(set(origin))
