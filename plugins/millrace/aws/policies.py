"""The least-privilege IAM policies that the project ships, filled in for one installation.

worker             Airflow: lake, SageMaker's jobs, their logs, metrics, the queue of uploads
worker-emr         Airflow, in addition: clusters of EMR and runs of EMR Serverless
worker-athena      Airflow, in addition: queries of an Athena workgroup
worker-ecs         Airflow, in addition, and whoever redeploys: deployments of one service of ECS
sagemaker          the role of SageMaker's jobs
sagemaker-network  that role, in addition: jobs in own subnets
emr-service        the role with which EMR makes machines, besides AWS's own policy for it
emr-instance       the role of the machines of EMR's clusters, and of EMR Serverless' runs
lambda             the role of the function that preprocesses uploads
service            the role of the model service's tasks
service-start      the role with which ECS starts them: their image and their log
push               whoever pushes images to the repositories of ECR
key                each of them, in addition: an own key encrypts volumes and outputs

`python -m millrace.aws.policies <policy> Name=value ...` prints one of them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from millrace.errors import MillraceError
from millrace.settings import PROJECT

FOLDER = PROJECT / "include" / "iam"
NAMES = (
    "worker", "worker-emr", "worker-athena", "worker-ecs", "sagemaker", "sagemaker-network",
    "emr-service", "emr-instance", "lambda", "service", "service-start", "push", "key",
)  # fmt: skip
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class PolicyError(MillraceError):
    """A policy document cannot be filled in; the message names what is missing."""


def policy(name: str, values: Mapping[str, str]) -> dict[str, Any]:
    """One policy document with its placeholders filled in.

    Args:
        values: by placeholder, such as `{"Bucket": "our-lake", "Prefix": "lake/", ...}`; more
            than the document needs do no harm. `Prefix` is the lake's below the bucket, with or
            without a slash at its end, empty where the lake is the whole bucket.

    Raises:
        PolicyError: there is no such policy, or a value is missing.
    """
    if name not in NAMES:
        raise PolicyError(f"there is no policy {name!r}; write one of {', '.join(NAMES)}")
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    if missing := sorted(placeholders(text) - set(values)):
        raise PolicyError(f"the policy {name} needs {', '.join(missing)}; give a value for each")
    given = {**values, "Prefix": _folder(values.get("Prefix", ""))}
    document: dict[str, Any] = json.loads(
        PLACEHOLDER.sub(lambda found: json.dumps(given[found[1]])[1:-1], text)
    )
    return document


def placeholders(text: str) -> set[str]:
    """The names that a policy's text wants values for."""
    return set(PLACEHOLDER.findall(text))


def _folder(prefix: str) -> str:
    trimmed = prefix.strip("/")
    return f"{trimmed}/" if trimmed else ""


def main(arguments: list[str] | None = None) -> int:
    """Print one policy document, filled in; 0 if it could be."""
    parser = argparse.ArgumentParser(
        prog="python -m millrace.aws.policies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("policy", choices=NAMES)
    parser.add_argument(
        "values", nargs="*", metavar="Name=value", type=_value, help="such as Bucket=our-lake"
    )
    options = parser.parse_args(arguments)
    try:
        document = policy(options.policy, dict(options.values))
    except PolicyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(document, indent=2))
    return 0


def _value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no value; write Name=value")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
