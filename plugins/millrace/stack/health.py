"""Whether the components of the local stack are healthy, and which of them keep dying."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import datetime

import psutil
import requests

from millrace.airflow_api import AirflowApi, AirflowApiError

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer", "mlflow", "service")
DEATHS = 3  # so many deaths of one component while starting, and starting is given up


def unhealthy(
    api: AirflowApi, mlflow_url: str | None, service_url: str, pids: Mapping[str, int]
) -> set[str]:
    """The components that do not serve now.

    Args:
        api: client of the stack's Airflow; its log-in proves that the stack's own server answers,
            not another one on the same port.
        mlflow_url: the stack's own MLflow server; None when another one is used.
        service_url: the model service, which is healthy without any model too.
        pids: the component processes that run.
    """
    found = set(COMPONENTS)
    with contextlib.suppress(requests.RequestException):
        if mlflow_url is None or _get(f"{mlflow_url}/health").ok:
            found.discard("mlflow")
    with contextlib.suppress(requests.RequestException, ValueError):
        if "models" in _get(service_url).json():
            found.discard("service")
    with contextlib.suppress(requests.RequestException, ValueError, AirflowApiError):
        health = _get(f"{api.url}/api/v2/monitor/health").json()
        api.log_in()
        found.discard("api-server")
        for name, pid in pids.items():
            if _beats(health.get(name.replace("-", "_")), pid):
                found.discard(name)
    return found


def unsettled(supervisor_log: str) -> set[str]:
    """Components that died in this start and have not lived for supervisord's startsecs since."""
    exits = {name: supervisor_log.rindex(f"exited: {name} ") for name in _exits(supervisor_log)}
    return {
        name
        for name in COMPONENTS
        if name in exits and f"success: {name} entered" not in supervisor_log[exits[name] :]
    }


def broken(supervisor_log: str) -> set[str]:
    """Components that died so often in this start that waiting is of no use."""
    exits = _exits(supervisor_log)
    return {name for name in COMPONENTS if exits.count(name) >= DEATHS}


def _exits(supervisor_log: str) -> list[str]:
    return re.findall(r"exited: ([\w-]+) ", supervisor_log)


def _beats(job: Mapping[str, str] | None, pid: int) -> bool:
    """Whether an Airflow job is healthy by a heartbeat of this process, not of an earlier one."""
    beat = next((v for k, v in (job or {}).items() if k.startswith("latest_") and v), None)
    if not job or not beat or job["status"] != "healthy":
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        born: float = psutil.Process(pid).create_time()
        return datetime.fromisoformat(beat).timestamp() > born
    return False


def _get(url: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=5)
