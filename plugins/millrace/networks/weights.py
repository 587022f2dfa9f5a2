"""`make weights`: put MobileNetV2 with ImageNet weights into the lake, checked against Keras."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from millrace.errors import MillraceError
from millrace.lake import Conflict, Store
from millrace.networks.network import KEY, NetworkError
from millrace.runs import open_lake
from millrace.settings import PROJECT, Settings

KERAS = PROJECT / ".venv-keras" / "bin" / "python"


def main(arguments: list[str] | None = None) -> int:
    """Export and publish; 0 if the network is in the lake."""
    parser = argparse.ArgumentParser(prog="make weights", description=__doc__)
    parser.add_argument("--weights", type=Path, help="weights file of Keras, instead of a download")
    options = parser.parse_args(arguments)
    try:
        store = open_lake(Settings.from_environment())
        print("Exporting Keras' MobileNetV2 and comparing the two (about 20 s) ...", flush=True)
        facts = publish_weights(store, options.weights)
    except (MillraceError, Conflict) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        f"{store.uri(KEY)}: MobileNetV2 with the weights {facts['weights']}; agrees with Keras on"
        f" {facts['images']} images, cosine >= {facts['cosine_minimum']:.7f}.\n"
        f"The weights file has the SHA-256 {facts['source_sha256']}, which the network's metadata"
        " records. Keras publishes none to compare it with; of its own file the size is checked."
    )
    return 0


def publish_weights(store: Store, source: Path | None = None) -> dict[str, Any]:
    """Export Keras' network and put it into the lake, whole or not at all.

    Args:
        source: a weights file of Keras; the ImageNet weights are downloaded where it is None.

    Returns:
        What the export says about itself.

    Raises:
        NetworkError: the export failed.
        Conflict: another command put a network there meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="millrace-weights-") as folder:
        output = Path(folder) / "network.onnx"
        facts = _export(output, source)
        data = output.read_bytes()
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise NetworkError("the exported network changed on disk; run the command again")
    present = store.read(KEY)
    if present is None or present[0] != data:
        store.replace(KEY, data, present[1] if present else None)
    return facts


def _export(output: Path, source: Path | None) -> dict[str, Any]:
    """Run the export where Keras is installed."""
    if not KERAS.exists():
        raise NetworkError(f"there is no {KERAS}; run scripts/setup_keras.sh")
    command = [str(KERAS), "-m", "millrace.networks.from_keras", "--output", str(output)]
    if source:
        command += ["--weights", str(source.expanduser().resolve())]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "plugins")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said = lines[-1].removeprefix("error: ") if lines else f"exit code {done.returncode}"
        raise NetworkError(said)
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


if __name__ == "__main__":
    sys.exit(main())
