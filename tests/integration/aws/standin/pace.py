"""How long the stand-in takes for what takes AWS minutes."""

from __future__ import annotations

import threading
from collections.abc import Mapping

DEFAULTS = {
    "state": 0.3,  # seconds in a state that has no entry of its own name, such as "Downloading"
    "logs": 0.0,  # seconds until CloudWatch has a line
    "s3_logs": 0.3,  # seconds between two copies of the logs of EMR to S3, and after the end
    "grace": 2.0,  # seconds between SIGTERM and SIGKILL; SageMaker gives 120
    "health": 0.2,  # seconds between two health checks of a load balancer, whatever its group says
    "checkpoints": 0.5,  # seconds between two copies of the checkpoints to S3
}


class Pace:
    """Seconds by name; a state's own name goes before `state`."""

    def __init__(self, seconds: Mapping[str, float]):
        self._seconds = {**DEFAULTS, **seconds}
        self._lock = threading.Lock()

    def change(self, seconds: Mapping[str, float]) -> dict[str, float]:
        with self._lock:
            self._seconds.update({name: float(value) for name, value in seconds.items()})
            return dict(self._seconds)

    def __getitem__(self, name: str) -> float:
        with self._lock:
            return self._seconds.get(name, self._seconds["state"])
