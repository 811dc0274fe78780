"""What a teacher may answer: one label, how sure it is, and one line that says why. Anything else is no answer."""

import json
import re
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.labels import LABELS, Label
from training.teacher.errors import Unusable

LONGEST_REASON = 200
_LONGEST_ERROR = 300
_FENCE = re.compile(r"\A\s*```(?:json)?[ \t]*\n(.*)\n?```\s*\Z", re.DOTALL | re.IGNORECASE)


class Answer(BaseModel):
    """A draft as the teacher gives it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: Label
    confidence: float = Field(ge=0.0, le=1.0, strict=True, allow_inf_nan=False)
    reason: str = Field(min_length=1, max_length=LONGEST_REASON, strict=True)


class Format(StrEnum):
    """How the server is told what to answer."""

    SCHEMA = "json_schema"  # the server holds the model to the schema
    TEXT = "text"  # the server refused that: only the prompt says it


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "enum": [str(label) for label in LABELS]},
        "confidence": {"type": "number"},
        "reason": {"type": "string"},
    },
    "required": ["label", "confidence", "reason"],
    "additionalProperties": False,
}
"""The part of `Answer` that every server's structured output knows; bounds are checked here."""

RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "draft", "strict": True, "schema": SCHEMA}}


def read(content: str) -> Answer:
    """Read what the model wrote. Raises Unusable that says, in words for the model, what is wrong.

    The only thing forgiven is a Markdown fence around the whole: models put it there by habit, and what is in it is
    held to the same schema.
    """
    fenced = _FENCE.match(content)
    try:
        data = json.loads(fenced[1] if fenced else content, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"it is not a JSON object: {error}"[:_LONGEST_ERROR], content) from None
    try:
        return Answer.model_validate(data)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'the answer'}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False)
        )
        raise Unusable(found[:_LONGEST_ERROR], content) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands in it twice")
    return found
