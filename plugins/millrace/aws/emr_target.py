"""How Spark runs on AWS: the part of the settings about EMR and EMR Serverless."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from millrace.aws.prices import larges
from millrace.variables import SettingsError, listed, matching, whole

ROLE = r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+"
PROFILE = r"arn:aws[a-z-]*:iam::\d{12}:instance-profile/[\w+=,.@/-]+|[\w+=,.@-]{1,128}"
INSTANCE = r"[a-z][a-z0-9-]*\.\d*xlarge"
# Of one generation, with the same instructions: an image has the same features on each of them.
INSTANCES = ("c7i.2xlarge", "m7i.2xlarge", "c7i.4xlarge", "m7i.4xlarge", "r7i.2xlarge")
RELEASE, MAX_VCPUS = "emr-7.13.0", 64
MOST_TYPES = 30  # of one instance fleet with an allocation strategy


@dataclass(frozen=True)
class EmrSettings:
    """What is set for Spark on AWS; empty text where a variable is unset and has no default.

    Attributes:
        service_role: ARN of the role with which EMR makes and ends machines.
        instance_profile: name or ARN of the profile whose role the machines have.
        release: EMR's release, which decides the versions of Spark and Python.
        instances: types of the machines that compute, any of which will do.
        max_vcpus: vCPUs of all of them together, at most.
        security_configuration: name of EMR's security configuration, which says what is encrypted.
        archive: address of the packed environment; empty for the one that `make spark-environment`
            puts into the lake.
        application: id of an application of EMR Serverless; where it is set, jobs run there, and no
            cluster is made.
        job_role: ARN of the role that runs of EMR Serverless have.
    """

    service_role: str = ""
    instance_profile: str = ""
    release: str = RELEASE
    instances: tuple[str, ...] = INSTANCES
    max_vcpus: int = MAX_VCPUS
    security_configuration: str = ""
    archive: str = ""
    application: str = ""
    job_role: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> EmrSettings:
        """Read them.

        Raises:
            SettingsError: a variable holds something that cannot be used.
        """
        a_role = "the ARN of a role, arn:aws:iam::<account>:role/<name>"
        return cls(
            service_role=matching(environment, "MILLRACE_EMR_SERVICE_ROLE", ROLE, a_role),
            instance_profile=matching(
                environment, "MILLRACE_EMR_INSTANCE_PROFILE", PROFILE,
                "the name or the ARN of an instance profile",
            ),
            release=matching(
                environment, "MILLRACE_EMR_RELEASE", r"emr-(?:spark-)?\d+\.\d+\.\d+",
                f"a release of EMR, such as {RELEASE}", RELEASE,
            ),
            instances=_instances(environment),
            max_vcpus=_max_vcpus(environment),
            security_configuration=matching(
                environment, "MILLRACE_EMR_SECURITY_CONFIGURATION", r"[\w .+=@-]{1,256}",
                "the name of a security configuration of EMR",
            ),
            archive=matching(
                environment, "MILLRACE_SPARK_ARCHIVE",
                r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^#\s]+\.(?:tar\.gz|tgz|zip)",
                "the address of an archive, s3://<bucket>/<key>.tar.gz",
            ),
            application=matching(
                environment, "MILLRACE_EMR_SERVERLESS_APPLICATION", r"[0-9a-z]{1,64}",
                "the id of an application of EMR Serverless, such as 00f1abcde2fg3h45",
            ),
            job_role=matching(environment, "MILLRACE_EMR_JOB_ROLE", ROLE, a_role),
        )  # fmt: skip

    @property
    def serverless(self) -> bool:
        """Whether jobs run on EMR Serverless."""
        return bool(self.application)

    def missing(self) -> list[str]:
        """What Spark on AWS still needs, a text for each variable."""
        role, name = "arn:aws:iam::<account>:role/<name>", "its name or ARN"
        if self.serverless:
            wanted = {f"MILLRACE_EMR_JOB_ROLE is not set, write {role}": self.job_role}
        else:
            wanted = {
                f"MILLRACE_EMR_SERVICE_ROLE is not set, write {role}": self.service_role,
                f"MILLRACE_EMR_INSTANCE_PROFILE is not set, write {name}": self.instance_profile,
            }
        return [text for text, found in wanted.items() if not found]


def vcpus(instance: str) -> int:
    """The vCPUs of an instance type: two for the size `large`."""
    return 2 * (larges(instance.rpartition(".")[2]) or 1)


def _instances(environment: Mapping[str, str]) -> tuple[str, ...]:
    name, example = "MILLRACE_EMR_INSTANCES", "instance types of EC2 such as c7i.2xlarge"
    found = listed(environment, name, INSTANCE, example) or INSTANCES
    if len(found) > MOST_TYPES or len(set(found)) < len(found):
        raise SettingsError(
            f"{name} holds {len(found)} types; write at most {MOST_TYPES}, each once"
        )
    return found


def _max_vcpus(environment: Mapping[str, str]) -> int:
    name = "MILLRACE_EMR_MAX_VCPUS"
    found = whole(environment, name, MAX_VCPUS, "vCPUs")
    largest = max(vcpus(each) for each in _instances(environment))
    if found < largest:
        raise SettingsError(
            f"{name} is {found}; write at least {largest}, the vCPUs of the largest type in"
            " MILLRACE_EMR_INSTANCES"
        )
    return found
