"""What a deployment may do: all of it is allowed by the shipped policy, and nothing is to spare."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace.aws.policies import policy
from millrace.jobs.ecs_rollback import EcsRollback
from millrace.jobs.ecs_service import EcsDeployment
from millrace.jobs.job import State
from millrace.lake import open_store
from millrace.lake.lease import lease
from millrace.steps.deploy import update
from tests.integration.aws.double import Ground
from tests.integration.aws.service import CLUSTER, GROUP
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import ACCOUNT, REGION, role_arn

pytestmark = pytest.mark.integration
NAME = "rights"  # of the service and the family of its task definition
VALUES = {
    "Region": REGION, "AccountId": ACCOUNT, "EcsCluster": CLUSTER, "EcsService": NAME,
    "EcsFamily": NAME, "EcsTaskRole": role_arn(), "EcsExecutionRole": role_arn(),
    "ServiceLogGroup": GROUP, "Bucket": "lake", "Prefix": "",
}  # fmt: skip
WORKER = policy("worker-ecs", VALUES)
RIGHTS = [
    (statement["Sid"], action)
    for statement in WORKER["Statement"]
    for action in statement["Action"]
]


def without(sid: str, action: str) -> dict[str, Any]:
    """The policy without one action of one statement."""
    document = copy.deepcopy(WORKER)
    for statement in document["Statement"]:
        if statement["Sid"] == sid:
            statement["Action"].remove(action)
    document["Statement"] = [each for each in document["Statement"] if each["Action"]]
    return document


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A service, its worker, and one more user for each of the worker's rights."""
    users = {f"no-{sid}-{action.partition(':')[2]}": without(sid, action) for sid, action in RIGHTS}
    policies = {name: [document] for name, document in {"worker": WORKER, **users}.items()}
    folder = tmp_path_factory.mktemp("aws")
    place = folder / NAME
    place.mkdir()
    with StandIn(folder, pace={"state": 0.05, "grace": 0.2}, policies=policies) as aws:
        aws.client("s3").create_bucket(
            Bucket="lake", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        made = Ground(aws, place)
        made.version("2", deadly=True)
        yield made


def deploy_in_vain(ground: Ground, user: str) -> None:
    """A deployment of a container that ends at once, followed to its end, and taken back."""
    clients = ground.aws.client("ecs", user), ground.aws.client("logs", user)
    backend, way_back = EcsDeployment(*clients), EcsRollback(*clients)
    request = update(ground.run(), ground.plan()).remote.request  # type: ignore[union-attr]
    lake = open_store("s3://lake", ground.aws.client("s3", user))
    ground.aws.client("s3").delete_object(
        Bucket="lake", Key=f"leases/jobs/{CLUSTER}/{ground.name}.json"
    )
    try:
        found = backend.find(request.name, request.home)
        with lease(lake, f"jobs/{request.alone}"):
            job = backend.start(request, found[0].number + 1 if found else 1)
        ground.until(lambda: backend.poll([job])[job].state.ended)
        assert backend.poll([job])[job].state is State.FAILED
        told = "\n".join(backend.logs(job, {}).lines)
        assert "MemoryError: version 2 is too large" in told
        way_back.start(request, 1)
        ground.until(ground.is_steady)
    finally:
        ground.until(ground.is_steady)


@pytest.mark.parametrize(("sid", "action"), RIGHTS)
def test_without_this_right_something_is_refused(ground: Ground, sid: str, action: str) -> None:
    # Without the right to list, S3 forbids an object that is not there.
    said = "AccessDenied .GetObject" if action == "s3:ListBucket" else f"to perform: {action}"
    with pytest.raises(Exception, match=rf"{said}\b"):
        deploy_in_vain(ground, f"no-{sid}-{action.partition(':')[2]}")


def test_with_all_of_them_nothing_is(ground: Ground, tmp_path: Path) -> None:
    deploy_in_vain(ground, "worker")
