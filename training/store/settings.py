"""Settings of the data store: the `[dataset]` table of the configuration."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

DEFAULT_FOLDER = Path("/var/lib/gatepost/dataset")


class DatasetSettings(BaseModel):
    """[dataset]: the mail that models learn from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(
        default=DEFAULT_FOLDER,
        description="folder of the data store; it is made with mode 0700 at the first `gatepost dataset add`",
    )
    key_file: str = Field(
        default="",
        description="key that encrypts the stored mail; empty is dataset.key in the folder. Back it up elsewhere",
    )
    near_duplicate: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="share of four-word sequences that two messages have in common from which they are one group, "
        "which has one vote in training",
    )
    most_weight: float = Field(
        default=10.0,
        ge=1,
        description="most votes that one sampled message may stand for: with fewer samples than that, chance decides",
    )
    approvals: int = Field(
        default=1,
        ge=1,
        le=2,
        description="people who must give a message the same label before it trains. With 2, imports count as one "
        "person's word, and `gatepost dataset review` asks others about what one person has labelled",
    )
    busy_seconds: float = Field(
        default=30.0, gt=0, le=600, description="seconds that a command waits for another that writes"
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        if not path.is_absolute() or "?" in str(path):
            raise ValueError(f"expected an absolute path, such as {DEFAULT_FOLDER}")
        return path

    @field_validator("key_file")
    @classmethod
    def _absolute_or_empty(cls, key_file: str) -> str:
        if key_file and not Path(key_file).is_absolute():
            raise ValueError(f'expected an absolute path, such as {DEFAULT_FOLDER}/dataset.key, or ""')
        return key_file

    @property
    def database(self) -> Path:
        """The database file."""
        return self.path / "dataset.db"

    @property
    def key(self) -> Path:
        """The key file."""
        return Path(self.key_file) if self.key_file else self.path / "dataset.key"

    @property
    def url(self) -> str:
        """The database as SQLAlchemy names it."""
        return f"sqlite:///{self.database}"
