"""Does the int8 file of a bundle give the labels of its fp32 original?

    python tests/bench/parity.py --model BUNDLE --fp32 FILE --corpora DIR

`gatepost train --keep-fp32 FILE` keeps the original. The comparison is on all of `dev`, window choice, fusion and
calibration included; exit 1 below 99.5 %, or where more than 1 % of text logits differ by more than .2.
"""

import sys
from pathlib import Path

import click
import numpy as np

from model.bundle import ENCODER, WEIGHTS, Bundle
from model.head import HEAD, TextHead
from training.gather import gather
from training.texts import opened
from training.trainer import compare, read_record, settings_of

AIM = 0.995
"""Share of dev that has to get the same label."""
LOGIT_AIM = 0.2
"""Difference of the text's logit that 99 % of dev have to stay below."""


@click.command()
@click.option("--model", "path", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--fp32", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--corpora", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--cache", type=click.Path(path_type=Path))
def main(path: Path, fp32: Path, corpora: Path, cache: Path | None) -> None:
    """Print the share of equal labels and the greatest difference of the text's logit."""
    bundle = Bundle.open(path)
    settings = settings_of(read_record(path), cache)
    rows = gather(settings, corpora, lambda line: click.echo(line, err=True)).dev
    weights, head = np.load(path / WEIGHTS), TextHead.load(path / HEAD)
    one, other = (opened(file, weights, settings.finetune) for file in (fp32, path / ENCODER))
    found = compare(bundle, head, one, other, rows, settings.finetune.threads)
    click.echo(
        f"model {bundle.version}: int8 gives the label of fp32 on {found.same} of {found.n} messages of dev "
        f"({found.share:.2%}); 99 % of text logits differ by less than {found.p99:.3f}, "
        f"all by {found.worst:.3f} at most"
    )
    sys.exit(0 if found.share >= AIM and found.p99 <= LOGIT_AIM else 1)


if __name__ == "__main__":
    main()
