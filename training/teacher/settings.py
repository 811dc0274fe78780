"""Who drafts labels, and what may be sent there: the `[teacher]` table of the configuration."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_SHOWN = "http://127.0.0.1:8080/v1"


class TeacherSettings(BaseModel):
    """[teacher]: a language model that drafts labels for `gatepost dataset label --teacher`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        default="",
        description=f'base of an OpenAI-compatible server that you own, such as "{_SHOWN}"; empty: no teacher, and '
        "nothing is ever sent. Mail is redacted before it is sent, yet it remains people's mail",
    )
    model: str = Field(default="", max_length=200, description="name of the model as that server knows it")
    key_file: str = Field(
        default="", description="file with the server's key in one line, readable by its owner alone; empty: none"
    )
    allow_remote: bool = Field(
        default=False,
        strict=True,
        description="let mail leave for a host that is neither this machine nor in a private network (RFC 1918, "
        "RFC 4193). It must then be https",
    )
    max_characters: int = Field(
        default=6_000, ge=200, le=200_000,
        description="most characters of a mail's text that are sent: three quarters from its beginning, one from its "
        "end",
    )  # fmt: skip
    requests_per_minute: float = Field(default=60.0, gt=0, le=60_000, description="most requests in a minute")
    timeout: float = Field(default=120.0, ge=0.1, le=3600, description="seconds for one answer, from first to last")
    price_in: float = Field(
        default=0.0, ge=0, description="price of a million tokens that are sent, in your currency: for the estimate"
    )
    price_out: float = Field(default=0.0, ge=0, description="price of a million tokens that are answered")

    @field_validator("url")
    @classmethod
    def _web(cls, url: str) -> str:
        if not url:
            return url
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError(f'expected the address of a server such as "{_SHOWN}"') from None
        plain = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not plain:
            raise ValueError(f'expected the address of a server such as "{_SHOWN}"')
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f'expected an address without account, query or fragment, such as "{_SHOWN}"')
        return url.rstrip("/")

    @field_validator("key_file")
    @classmethod
    def _absolute(cls, key_file: str) -> str:
        if key_file and not Path(key_file).is_absolute():
            raise ValueError('expected an absolute path, such as /etc/gatepost/teacher.key, or ""')
        return key_file

    @field_validator("model")
    @classmethod
    def _printable(cls, model: str) -> str:
        if not model.isprintable():
            raise ValueError("expected a name without control characters")
        return model

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.url and not self.model.strip():
            raise ValueError("expected the name of a model beside the url")
        return self
