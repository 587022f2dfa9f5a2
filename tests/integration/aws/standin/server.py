"""Put the parts together and serve them on 127.0.0.1."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from tests.integration.aws.standin.athena import Athena
from tests.integration.aws.standin.cloud import Cloud
from tests.integration.aws.standin.ecs import Ecs
from tests.integration.aws.standin.emr import Emr
from tests.integration.aws.standin.gate import ControlPlane, Gate
from tests.integration.aws.standin.sagemaker import SageMaker
from tests.integration.aws.standin.serverless import EmrServerless
from tests.integration.aws.standin.uploads import Uploads

HOST = "127.0.0.1"


def serve(folder: Path, port: int, setup: Mapping[str, Any]) -> None:
    """Serve until SIGTERM or SIGINT; `standin.json` in the folder says where."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    for name in [name for name in os.environ if name.startswith(("AWS_", "MOTO_"))]:
        del os.environ[name]  # nothing of the caller's reaches moto, or a real account
    gates: list[Gate] = []
    server = make_server(
        HOST, port, lambda environ, start: gates[0](environ, start), threaded=True,
        request_handler=MotoRequestHandler,
    )  # fmt: skip
    endpoint = f"http://{HOST}:{server.server_port}"
    cloud = Cloud(folder, endpoint, setup)
    ecs = Ecs(cloud)
    planes: dict[str, ControlPlane] = {
        "sagemaker": SageMaker(cloud), "emr": Emr(cloud), "emr-serverless": EmrServerless(cloud),
        "athena": Athena(cloud), "ecs": ecs,
    }  # fmt: skip
    moto = DomainDispatcherApplication(create_backend_app)
    gates.append(Gate(cloud, planes, Uploads(), moto, ecs.urls))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    facts = {"endpoint": endpoint, "pid": os.getpid(), "keys": cloud.iam.keys}
    _put(folder / "standin.json", json.dumps(facts))
    try:
        server.serve_forever()
    finally:
        cloud.guard.close()


def _put(path: Path, text: str) -> None:
    """Write a file so that nobody reads half of it."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)
