"""Where the modules that read a model and predict with it are: the scripts of the training.

Sent to a cluster, they lie in one archive with the modules here; in the project, in a folder of
their own beside this one.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

TRAINING = Path(__file__).parent.parent / "training"
TRANSFORMATION = Path(__file__).parent.parent.parent / "plugins" / "millrace" / "transformation.py"


def files() -> list[Path]:
    """The modules as files of the project; none where they came in an archive."""
    return [*sorted(TRAINING.glob("*.py")), TRANSFORMATION] if TRANSFORMATION.is_file() else []


def find() -> None:
    """Let this process import them."""
    if not files():
        return
    if str(TRAINING) not in sys.path:
        sys.path.append(str(TRAINING))
    name = TRANSFORMATION.stem
    if name not in sys.modules:  # alone: its folder holds a package's other modules
        spec = importlib.util.spec_from_file_location(name, TRANSFORMATION)
        if spec is None or spec.loader is None:
            raise ImportError(f"{TRANSFORMATION} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
