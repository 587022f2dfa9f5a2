"""Transient clusters: found by their name, made once, ended; on an executing stand-in of EMR."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from millrace.jobs.emr_cluster import EmrCluster
from millrace.jobs.job import TRY, Request, State
from millrace.lake import LocalStore
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import INSTANCE_PROFILE
from tests.integration.aws.standin.tryout import wait
from tests.jobs.execution import stand_in

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with stand_in(tmp_path_factory.mktemp("aws")) as started:
        yield started


@pytest.fixture
def clusters(aws: StandIn) -> EmrCluster:
    return EmrCluster(aws.client("emr"))


def request(aws: StandIn, name: str, *words: str) -> Request:
    """A cluster around one step that runs a command of the machine."""
    jar = {"Jar": "command-runner.jar", "Args": list(words or ("sleep", "60"))}
    body = {
        "ReleaseLabel": "emr-7.13.0", "ServiceRole": aws.role, "JobFlowRole": INSTANCE_PROFILE,
        "Instances": {
            "InstanceFleets": [{
                "InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1,
                "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge"}],
            }],
            "KeepJobFlowAliveWhenNoSteps": False,
        },
        "Steps": [{"Name": f"{name}-{TRY}", "ActionOnFailure": "TERMINATE_CLUSTER",
                   "HadoopJarStep": jar}],
    }  # fmt: skip
    return Request("emr_cluster", f"{name}-cluster", body, 60)


def state(clusters: EmrCluster, name: str) -> State:
    found = clusters.find(name)
    assert found
    return found[1].state


def steps(aws: StandIn, cluster: str) -> list[str]:
    return [step["Name"] for step in aws.client("emr").list_steps(ClusterId=cluster)["Steps"]]


def test_many_at_once_get_one(aws: StandIn, clusters: EmrCluster, tmp_path: Path) -> None:
    store, asked = LocalStore(tmp_path), request(aws, "millrace-many")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: clusters.place(store, asked), range(4)))
    assert len({cluster.id for cluster, _ in found}) == 1
    assert sorted(was_there for _, was_there in found) == [False, True, True, True]
    assert steps(aws, found[0][0].id) == ["millrace-many-1"]


def test_a_dead_one_is_replaced_and_its_steps_are_numbered_on(
    aws: StandIn, clusters: EmrCluster, tmp_path: Path
) -> None:
    store, asked = LocalStore(tmp_path), request(aws, "millrace-dead", "false")
    first, _ = clusters.place(store, asked)
    wait(lambda: state(clusters, asked.name) is State.FAILED)
    second, found = clusters.place(store, asked)
    assert (second.number, found) == (2, False)
    assert steps(aws, second.id) == ["millrace-dead-2"] and second.id != first.id


def test_one_whose_step_has_done_the_work_is_taken_unless_anew(
    aws: StandIn, clusters: EmrCluster, tmp_path: Path
) -> None:
    store, asked = LocalStore(tmp_path), request(aws, "millrace-done", "true")
    first, _ = clusters.place(store, asked)
    wait(lambda: state(clusters, asked.name) is State.STOPPED)
    assert clusters.place(store, asked) == (first, True)
    other, found = clusters.place(store, asked, anew=True)
    assert other.id != first.id and not found


def test_names_that_begin_alike_are_others(
    aws: StandIn, clusters: EmrCluster, tmp_path: Path
) -> None:
    clusters.place(LocalStore(tmp_path), request(aws, "millrace-alike"))
    assert clusters.find("millrace-alik") is None
    assert clusters.find("millrace-alike") is None
    found = clusters.find("millrace-alike-cluster")
    assert found and found[0].number == 1


def test_siblings_are_the_living_ones_of_the_same_work(
    aws: StandIn, clusters: EmrCluster, tmp_path: Path
) -> None:
    asked = request(aws, "millrace-family")
    first, second = clusters.start(asked, 1), clusters.start(asked, 2)
    clusters.place(LocalStore(tmp_path), request(aws, "millrace-stranger"))
    assert [job.id for job in clusters.siblings(first.id)] == [second.id]
    clusters.stop(second)
    wait(lambda: clusters.siblings(first.id) == [])


def test_what_it_says_of_itself(aws: StandIn, clusters: EmrCluster, tmp_path: Path) -> None:
    job, _ = clusters.place(LocalStore(tmp_path), request(aws, "millrace-said"))
    assert clusters.link(job).endswith(f"region={aws.region}#/clusterDetails/{job.id}")
    assert clusters.logs(job, {}).complete
    assert clusters.poll([job])[job].state in (State.WAITING, State.RUNNING)
    clusters.stop(job)
    wait(lambda: clusters.poll([job])[job].state is State.STOPPED)
    clusters.stop(job)  # does no harm


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"InstanceFleets": []}, None),
        ({"TerminationProtected": False}, None),
        ({"Ec2SubnetId": "subnet-1"}, "Ec2SubnetId is not supported"),
    ],
)
def test_the_stand_in_refuses_what_emr_refuses(
    aws: StandIn, clusters: EmrCluster, change: dict[str, Any], said: str | None
) -> None:
    asked = request(aws, "millrace-refused")
    asked.body["Instances"].update(change)
    if said is None:
        clusters.stop(clusters.start(asked, 1))
        return
    with pytest.raises(Exception, match=said):
        clusters.start(asked, 1)


def test_texts_of_a_request_are_numbered_at_any_depth() -> None:
    body = {"a": f"x-{TRY}", "b": [{"c": (f"{TRY}",)}], "d": 1}
    made = Request("emr_step", "n", body, 1).body_of(3)
    assert made == {"a": "x-3", "b": [{"c": ["3"]}], "d": 1}
