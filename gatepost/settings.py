"""The whole configuration file: what the gateway reads of it, and what the commands beside it do."""

from pydantic import Field

from milter.settings import Settings as GatewaySettings
from training.gate.settings import GateSettings
from training.store.settings import DatasetSettings
from training.teacher.settings import TeacherSettings


class Settings(GatewaySettings):
    """Every table of the file. Workers receive the gateway's own (`milter.settings.Settings`)."""

    dataset: DatasetSettings = Field(default_factory=DatasetSettings)
    gate: GateSettings = Field(default_factory=GateSettings)
    teacher: TeacherSettings = Field(default_factory=TeacherSettings)
