"""What a candidate must show before it may serve: the `[gate]` table of the configuration."""

from pydantic import BaseModel, ConfigDict, Field


class GateSettings(BaseModel):
    """[gate]: what gatepost model promote demands of a candidate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    false_positive_budget: float = Field(
        default=0.02, gt=0, lt=1,
        description="share of legitimate senders that may have mail kept back; must be certified (95 %) on reviewed "
        "mail that was not chosen by its score: delivered mail that was sampled, or known legitimate mail that was "
        "imported. The gate keeps three in ten of it for that. .02 needs 149 senders without an error there (about "
        "500 in all), .01 needs 299, .001 needs 2,995",
    )  # fmt: skip
    uncertified: bool = Field(
        default=False,
        description="let a candidate serve that all else speaks for, and of which no more than the budget was kept "
        "back, although there is too little such mail to prove it; each switch says so, and it is on record",
    )  # fmt: skip
    caught_margin: float = Field(
        default=0.05, gt=0, lt=1,
        description="how much less bad mail a candidate might catch than the model in place, and than the shipped "
        "one: the 95 % bound of the paired difference must be within",
    )  # fmt: skip
    false_positive_margin: float = Field(
        default=0.03, gt=0, lt=1, description="the same for how much more legitimate mail it might keep back"
    )
    attack_margin: float = Field(
        default=0.03, ge=0, lt=1,
        description="how much less bad mail it may catch under any one attack than the model in place, and than the "
        "shipped one; over all attacks together the 95 % bound must be within the wider of this and caught_margin",
    )  # fmt: skip
    attack_messages: int = Field(
        default=150, ge=0, le=5_000, description="bad messages that are attacked; 0 leaves the check out, and says so"
    )
    parity: float = Field(
        default=0.975, gt=0, le=1,
        description="share of messages on which the int8 file must give the label of the unquantised one",
    )  # fmt: skip
    slowest_ms: float = Field(
        default=150.0, gt=0, description="milliseconds for a message at the 99th percentile, on this machine"
    )
    slower: float = Field(
        default=1.25, ge=1,
        description="how many times as long as the model in place, and as the shipped one, it may take, at median "
        "and 99th percentile",
    )  # fmt: skip
    written_messages: int = Field(
        default=600, ge=1,
        description="most held-out written messages that are compared on; each takes some 20 to 50 ms a model",
    )  # fmt: skip
    parts: int = Field(
        default=3, ge=1, le=20,
        description="most parts of the reviewed mail, by sender, of which one certifies; another one after each "
        "switch. There are fewer while one alone would be too little to certify the budget",
    )  # fmt: skip
    wait_seconds: float = Field(
        default=90.0, ge=0, le=600, description="seconds that a switch waits for the running gateway to follow"
    )
