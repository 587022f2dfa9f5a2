"""What the stack costs in a month: three ways to use it, every assumption a number here.

`python -m millrace.infrastructure.costs` prints the tables of docs/aws.md. Airflow's own machine
and the MLflow server are not in them: the stack makes neither.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from millrace.aws import emr_capacity, prices
from millrace.aws.target import AwsSettings
from millrace.infrastructure.template import TEMPLATE, Template

PRICES = Path(__file__).with_name("prices.json")
REGION = "eu-central-1"
HOURS, DAYS = 730, 30  # of a month
INSTANCE = "ml.m5.large"
SUBNETS = 2  # of the load balancer, which has an address in each
TASK_VCPU, TASK_GB = 0.5, 1  # ServiceSize=small
FUNCTION_GB = 2  # OnUploadMemory=2048
METRICS = 12  # that a run sends: 5 of its own and 7 of a model; billed for the hour they come in
TERABYTE_GB = 1000


def _amount(what: str, default: float = 0) -> float:
    """A field that says what it counts; the table of assumptions shows it."""
    found: float = field(default=default, metadata={"what": what})
    return found


@dataclass(frozen=True)
class Use:
    """How much of everything a month has."""

    lake_gb: float = _amount("GB in the lake, old versions too", 1)
    object_calls: float = _amount("thousand calls to S3, a fifth of which write")
    images_gb: float = _amount("GB in the two repositories")
    tasks: float = _amount("tasks of the service on average, of half a vCPU and 1 GB")
    load_units: float = _amount("units of the load balancer (25 new connections a second, 1 GB/h)")
    log_gb: float = _amount("GB of logs written, each kept for three months")
    uploads: float = _amount("uploads a day that the function prepares, with 2 GB of memory")
    function_seconds: float = _amount("seconds that one of them takes")
    runs: float = _amount("runs of tables a day, which send 12 metrics each")
    jobs: float = _amount("SageMaker jobs of each run, on ml.m5.large")
    job_minutes: float = _amount("minutes that one of them takes")
    images: float = _amount("images a day, on a cluster of EMR of that day, on demand")
    scanned_gb: float = _amount("GB a day that Athena reads")


USES: Mapping[str, Use] = {
    "no service": Use(),
    "idle": Use(images_gb=2, tasks=2, log_gb=0.5),
    "active": Use(
        lake_gb=100, images_gb=4, tasks=3, load_units=1, uploads=3, function_seconds=60, runs=3,
        jobs=4, job_minutes=5, images=4000, scanned_gb=10, log_gb=5, object_calls=2000,
    ),
}  # fmt: skip


def monthly(use: Use) -> dict[str, float]:
    """US dollars a month by what they are for, in `REGION`."""
    price = _prices()
    calls = use.object_calls * 1000
    service = use.tasks > 0
    return {
        "lake: storage": use.lake_gb * price["s3_gb_month"],
        "lake: calls": calls * (0.2 * price["s3_put"] + 0.8 * price["s3_get"]),
        "key": price["kms_key_month"] + 0.01 * calls * price["kms_request"],
        "queue": _polls() * price["sqs_request"] if use.runs else 0.0,
        "repositories": use.images_gb * price["ecr_gb_month"],
        "logs": use.log_gb * (price["log_gb"] + 3 * price["log_gb_month"]),
        "alarms": _alarms(service, use.uploads > 0) * price["alarm_month"],
        "metrics of the runs": use.runs * METRICS * price["metric_month"] * DAYS / HOURS,
        "service: tasks": use.tasks * HOURS * _task_hourly(price),
        "service: load balancer": service * HOURS * price["load_balancer_hour"]
        + use.load_units * HOURS * price["load_balancer_unit_hour"],
        "service: addresses": service * (SUBNETS + use.tasks) * HOURS * price["address_hour"],
        "function": DAYS * use.uploads * use.function_seconds * FUNCTION_GB
        * price["function_gb_second"],
        "SageMaker": DAYS * use.runs * use.jobs * _job(use.job_minutes),
        "EMR": DAYS * _cluster(int(use.images)),
        "Athena": DAYS * use.scanned_gb / TERABYTE_GB * (prices.terabyte(REGION) or 0.0),
    }  # fmt: skip


def _prices() -> dict[str, float]:
    found: dict[str, float] = json.loads(PRICES.read_text(encoding="utf-8"))["prices"][REGION]
    return found


def _polls() -> float:
    """Calls of the trigger, which waits 20 s for a message and asks again."""
    return HOURS * 3600 / 20


def _alarms(service: bool, function: bool) -> int:
    """How many metrics the template's alarms watch, each of which is billed."""
    made = {None: True, "HasService": service, "HasOnUpload": function}
    resources = Template.read(TEMPLATE.read_text(encoding="utf-8")).resources.values()
    alarms = [each for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]
    return sum(
        max(1, sum("MetricStat" in metric for metric in each["Properties"].get("Metrics", [])))
        for each in alarms
        if made[each.get("Condition")]
    )


def _task_hourly(price: Mapping[str, float]) -> float:
    return TASK_VCPU * price["fargate_vcpu_hour"] + TASK_GB * price["fargate_gb_hour"]


def _job(minutes: float) -> float:
    hourly = prices.hourly("sagemaker_training", INSTANCE, REGION) or 0.0
    return prices.cost(hourly, minutes * 60)


def _cluster(images: int) -> float:
    """A cluster on demand, from its start to its last file; spot capacity costs less."""
    if not images:
        return 0.0
    target = AwsSettings(region=REGION)
    hourly = emr_capacity.cluster_hourly(target, emr_capacity.units_for(target.emr, images))
    return prices.cost(hourly or 0.0, emr_capacity.seconds_for(target.emr, images))


def nat_gateway() -> float:
    """US dollars a month of one NAT gateway without traffic, which the stack does not make."""
    return HOURS * _prices()["nat_gateway_hour"]


def costs_table() -> str:
    """The costs by use, as a table in Markdown."""
    found = {name: monthly(use) for name, use in USES.items()}
    rows = [
        (what, *(f"{each[what]:.2f}" for each in found.values()))
        for what in found["active"]
    ]  # fmt: skip
    totals = (f"**{sum(each.values()):.2f}**" for each in found.values())
    return _table(("US dollars a month", *found), [*rows, ("**together**", *totals)])


def assumptions_table() -> str:
    """What a month has by use, as a table in Markdown."""
    return _table(
        ("a month has", *USES),
        [
            (each.metadata["what"], *(f"{getattr(use, each.name):g}" for use in USES.values()))
            for each in fields(Use)
        ],
    )


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(costs_table(), assumptions_table(), sep="\n\n")
