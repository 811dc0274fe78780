"""What a candidate must show before it may serve: the `[gate]` table of the configuration."""

from pydantic import BaseModel, ConfigDict, Field


class GateSettings(BaseModel):
    """[gate]: what gatepost model promote demands of a candidate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    false_positive_budget: float = Field(
        default=0.02, gt=0, lt=1,
        description="share of legitimate senders that may have mail kept back; must be certified (95 %) on reviewed "
        "mail. .02 needs 149 senders without an error, .01 needs 299, .001 needs 2,995",
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
        description="how much less attacked bad mail it may catch than the model in place, for each kind of attack",
    )  # fmt: skip
    attack_messages: int = Field(
        default=60, ge=0, le=5_000, description="bad messages that are attacked; 0 leaves the check out, and says so"
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
        description="how many times as long as the model in place it may take, at median and 99th percentile",
    )  # fmt: skip
    written_messages: int = Field(
        default=600, ge=1,
        description="most held-out written messages that are compared on; each takes some 20 to 50 ms a model",
    )  # fmt: skip
    parts: int = Field(
        default=3, ge=1, le=20,
        description="parts of the reviewed mail, by sender, of which one certifies; another one after each switch",
    )  # fmt: skip
    wait_seconds: float = Field(
        default=90.0, ge=0, le=600, description="seconds that a switch waits for the running gateway to follow"
    )
