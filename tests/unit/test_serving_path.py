"""What serves never imports the training libraries, also where they are installed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "peft", "sklearn", "onnx", "sentence_transformers", "pymispwarninglists")
ROOT = Path(__file__).parents[2]

SCREEN = """
import sys
sys.path.insert(0, {root!r})
import milter.supervisor, milter.worker, quarantine.store, quarantine.release
from gatepost.screening import Bench
from milter.settings import Settings
from model.mail import Direction
with Bench(Settings(), Direction.INBOUND) as bench:
    one = bench.screen("x", b"From: a@b.example\\r\\nSubject: hello\\r\\n\\r\\nYour parcel waits\\r\\n")
    assert one.screening.score is not None, one.screening.fault
print([name for name in {heavy!r} if name in sys.modules])
"""


@pytest.mark.train
def test_no_training_library_is_imported_while_serving():
    missing = [name for name in HEAVY[:4] if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the training extra is not installed: {missing[0]}")

    done = subprocess.run([sys.executable, "-c", SCREEN.format(root=str(ROOT), heavy=HEAVY)], capture_output=True,
                          text=True, cwd="/")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("word", ["score", "explain", "extract", "serve", "check", "quarantine", "model", "demo"])
def test_help_of_a_serving_command_needs_no_training_library(word):
    code = (f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv = ['gatepost', {word!r}, '--help']\n"
            "from gatepost.cli import main\n"
            "try:\n    main(prog_name='gatepost')\n"
            f"finally:\n    print([n for n in {HEAVY!r} if n in sys.modules], file=sys.stderr)")

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")

    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
