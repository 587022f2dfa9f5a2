"""The environment of the local stack: Airflow and MLflow are configured by variables only."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from millrace.settings import DEFAULT_SERVICE, PROJECT, Settings
from millrace.stack.ports import Ports

USERNAME = "admin"
DEFAULT_MLFLOW = "http://127.0.0.1:5000"

SERVICE_PATH = [PROJECT / "plugins", PROJECT / "include", PROJECT / "include" / "training"]
"""Where the model service finds its code."""

# Measured on two cores with a trivial three-task DAG: 4.3 s with Airflow's defaults, 1.6 s with
# these. A user's own value of any of them wins.
TUNING = {
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MILLRACE_SERVICE_RECORD": "yes",
    "MILLRACE_SERVICE_PAGES": "yes",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "false",
    # said in every task log otherwise: Airflow 3.3 uses a name that pathspec 1 has deprecated
    "PYTHONWARNINGS": "ignore:GitWildMatchPattern:DeprecationWarning",
    "DO_NOT_TRACK": "true",
    # keeps process titles out of /proc/<pid>/environ, by which the stack knows its processes
    "SPT_NOENV": "1",
    "AIRFLOW_CONN_FS_DEFAULT": '{"conn_type": "fs"}',
}


def stack_environment(
    settings: Settings, ports: Ports, base: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The whole environment of Airflow's command line and of every component.

    Writes the secrets of a home on its first use, and nothing else.
    """
    host = base.get("MILLRACE_BIND") or "127.0.0.1"
    environment = {**base, **{name: base.get(name) or value for name, value in TUNING.items()}}
    environment.setdefault("OMP_NUM_THREADS", str(_cores()))
    environment.update(_process(base))
    environment.update(_settings(settings, ports))
    dags = base.get("MILLRACE_DAGS") or str(PROJECT / "dags")
    environment.update(_airflow(settings.home, ports, host, dags))
    return environment


def own_mlflow(settings: Settings) -> bool:
    """Whether the stack runs its own MLflow: it does, unless the user named another server."""
    return settings.mlflow_uri.rstrip("/") == DEFAULT_MLFLOW


def mlflow_url(settings: Settings, ports: Ports) -> str:
    """Address of the MLflow server that tasks write to."""
    return f"http://127.0.0.1:{ports.mlflow}" if own_mlflow(settings) else settings.mlflow_uri


def service_url(settings: Settings, ports: Ports) -> str:
    """Address of the model service that deployments are verified at: the stack's own, unless the
    user named another one.
    """
    own = settings.service_url == DEFAULT_SERVICE
    return f"http://127.0.0.1:{ports.service}" if own else settings.service_url


def read_secrets(home: Path) -> dict[str, str]:
    """The keys and the password of a home, made on first use in a file only its owner may read."""
    path = home / "secrets.json"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        made = {
            "fernet_key": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "jwt_secret": secrets.token_hex(32),
            "api_secret": secrets.token_hex(32),
            "password": secrets.token_urlsafe(12),
        }
        draft = home / f".secrets.{os.getpid()}"
        _write_private(draft, json.dumps(made, indent=2))
        try:
            os.link(draft, path)  # unlike a rename, keeps the file of whoever came first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    stored: dict[str, str] = json.loads(path.read_text())
    return stored


def write_airflow_files(home: Path) -> None:
    """Folders and files that Airflow would otherwise make up, each component for itself."""
    for folder in ("airflow", "mlflow", "log"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "airflow" / "airflow.cfg").write_text(
        "# Empty on purpose: see millrace.stack.environment\n"
    )
    password = read_secrets(home)["password"]
    _write_private(home / "airflow" / "passwords.json", json.dumps({USERNAME: password}))


def _process(base: Mapping[str, str]) -> dict[str, str]:
    plugins, found = str(PROJECT / "plugins"), base.get("PYTHONPATH", "")
    binaries = str(Path(sys.executable).parent)
    local = "127.0.0.1,localhost"
    bypass = ",".join(filter(None, [base.get("NO_PROXY") or base.get("no_proxy"), local]))
    return {
        "PYTHONPATH": os.pathsep.join(
            [plugins, *[p for p in found.split(os.pathsep) if p and p != plugins]]
        ),
        "PATH": binaries + os.pathsep + base.get("PATH", os.defpath),
        "MILLRACE_BIN": binaries,
        "NO_PROXY": bypass,
        "no_proxy": bypass,
    }


def _settings(settings: Settings, ports: Ports) -> dict[str, str]:
    return {
        "MILLRACE_HOME": str(settings.home),
        "MILLRACE_LAKE": settings.lake,
        "MILLRACE_DATASETS": str(settings.datasets),
        "MILLRACE_MLFLOW_BUDGET": str(settings.mlflow_budget),
        "MILLRACE_JOB_TIMEOUT": str(settings.job_timeout),
        "MILLRACE_AWS_CONNECTION": settings.aws_connection,
        "MILLRACE_SERVICE_URL": service_url(settings, ports),
        "MILLRACE_AIRFLOW_PORT": str(ports.airflow),
        "MILLRACE_MLFLOW_PORT": str(ports.mlflow),
        "MILLRACE_SERVICE_PORT": str(ports.service),
        "MILLRACE_SERVICE_PATH": os.pathsep.join(map(str, SERVICE_PATH)),
        "MILLRACE_OWN_MLFLOW": str(own_mlflow(settings)).lower(),
        "MLFLOW_TRACKING_URI": mlflow_url(settings, ports),
    }


def _airflow(home: Path, ports: Ports, host: str, dags: str) -> dict[str, str]:
    keys, folder, url = read_secrets(home), home / "airflow", f"http://127.0.0.1:{ports.airflow}"
    return {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CONFIG": str(folder / "airflow.cfg"),
        "AIRFLOW__CORE__DAGS_FOLDER": dags,
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "millrace.stack.executor.LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": keys["fernet_key"],
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "millrace.stack.ports.loopback",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USERNAME}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
        "AIRFLOW__API__HOST": host,
        "AIRFLOW__API__PORT": str(ports.airflow),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": keys["api_secret"],
        "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt_secret"],
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(ports.logs),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports.logs),
    }


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
