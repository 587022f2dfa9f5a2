"""What EMR and EMR Serverless are asked to do for one Spark job: the bodies of their calls."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from millrace.aws.emr_capacity import CORES, IMAGES_PER_VCPU, fleets, limits
from millrace.aws.emr_target import EmrSettings
from millrace.aws.target import AwsSettings

IDLE = 900  # seconds after which EMR ends a cluster that does nothing
# One executor has four cores, with a Python worker each. A worker takes at most 600 MB, so two of
# them fit into the 12 GB that YARN has on a machine of 8 vCPUs and 16 GB.
HEAP, OVERHEAD = "2g", "3g"
DRIVER_HEAP, DRIVER_OVERHEAD = "2g", "2g"
DEPENDENCIES = "deps"  # folder into which the packed environment is unpacked
PYTHON = f"./{DEPENDENCIES}/bin/python"
# Without this tag, AWS's own policies for EMR's service role let it make nothing.
MANAGED = {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"}


def cluster_request(
    target: AwsSettings,
    *,
    step: Mapping[str, Any],
    images: int,
    rate: float = IMAGES_PER_VCPU,
    log_uri: str,
    tags: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """The body of RunJobFlow, without the name: a transient cluster around one step.

    The driver and the results of the shuffle stand on machines on demand, the rest is spot
    capacity, or on demand where there is none. The cluster ends with its step.

    Args:
        step: what AddJobFlowSteps takes for one step, with its name.
        images: how many there are to compute, or how many of what else.
        rate: how many of them a vCPU does in a second.
        log_uri: where EMR puts its logs.
    """
    emr = target.emr
    keys = {"LogEncryptionKmsKeyId": target.kms_key} if target.kms_key.startswith("arn:") else {}
    security = (
        {"SecurityConfiguration": emr.security_configuration} if emr.security_configuration else {}
    )
    return {
        "ReleaseLabel": emr.release,
        "Applications": [{"Name": "Spark"}],
        "LogUri": log_uri,
        "ServiceRole": emr.service_role,
        "JobFlowRole": emr.instance_profile,
        "Instances": {
            "InstanceFleets": fleets(emr, images, rate),
            "KeepJobFlowAliveWhenNoSteps": False,
            "TerminationProtected": False,
            **_network(target),
        },
        "Steps": [dict(step)],
        "StepConcurrencyLevel": 1,
        "Configurations": _configurations(emr),
        "ManagedScalingPolicy": {"ComputeLimits": limits(emr)},
        "AutoTerminationPolicy": {"IdleTimeout": IDLE},
        "ScaleDownBehavior": "TERMINATE_AT_TASK_COMPLETION",
        "VisibleToAllUsers": True,
        "Tags": [*tags, MANAGED],
        **keys,
        **security,
    }


def spark_step(
    target: AwsSettings, *, script: str, siblings: str, archive: str, arguments: Sequence[str]
) -> dict[str, Any]:
    """What AddJobFlowSteps takes for one step, without its name.

    Args:
        script: URI of the script.
        siblings: URI of the zip with the modules it imports.
        archive: URI of the packed environment.
        arguments: the script's command line.
    """
    environment = _variables(target, "spark.yarn.appMasterEnv", "spark.executorEnv")
    words = [
        "spark-submit", "--master", "yarn", "--deploy-mode", "cluster",
        *_confs({"spark.archives": f"{archive}#{DEPENDENCIES}", **environment}),
        "--py-files", siblings, script, *arguments,
    ]  # fmt: skip
    return {
        "ActionOnFailure": "TERMINATE_CLUSTER",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": words},
    }


def serverless_run(
    target: AwsSettings, *, script: str, siblings: str, archive: str, arguments: Sequence[str],
    log_uri: str, tags: Sequence[Mapping[str, str]],
) -> dict[str, Any]:  # fmt: skip
    """The body of StartJobRun, without its name and application; see `spark_step`."""
    emr = target.emr
    confs = {
        "spark.archives": f"{archive}#{DEPENDENCIES}",
        "spark.submit.pyFiles": siblings,
        **_variables(target, "spark.emr-serverless.driverEnv", "spark.executorEnv"),
        **_executors(emr),
        "spark.driver.cores": str(CORES),
    }
    return {
        "executionRoleArn": emr.job_role,
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": script,
                "entryPointArguments": list(arguments),
                "sparkSubmitParameters": shlex.join(_confs(confs)),
            }
        },
        "configurationOverrides": {
            "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": log_uri}}
        },
        "tags": {tag["Key"]: tag["Value"] for tag in tags},
    }


def _variables(target: AwsSettings, *prefixes: str) -> dict[str, str]:
    """Spark's settings for the variables of driver and executors."""
    values = {
        "PYSPARK_PYTHON": PYTHON,
        "PYSPARK_DRIVER_PYTHON": PYTHON,
        "AWS_REGION": target.region,
        "AWS_DEFAULT_REGION": target.region,
        "OMP_NUM_THREADS": "1",  # Spark runs a worker for each core
    }
    return {
        f"{prefix}.{name}": value
        for prefix in prefixes
        for name, value in values.items()
        if not (prefix == "spark.executorEnv" and name == "PYSPARK_DRIVER_PYTHON")
    }


def _confs(values: Mapping[str, str]) -> list[str]:
    return [word for name, value in values.items() for word in ("--conf", f"{name}={value}")]


def _executors(emr: EmrSettings) -> dict[str, str]:
    return {
        "spark.executor.cores": str(CORES),
        "spark.executor.memory": HEAP,
        "spark.executor.memoryOverhead": OVERHEAD,
        "spark.driver.memory": DRIVER_HEAP,
        "spark.driver.memoryOverhead": DRIVER_OVERHEAD,
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.maxExecutors": str(max(1, emr.max_vcpus // CORES)),
        "spark.python.worker.reuse": "true",  # a network or a model is built once a worker
    }


def _configurations(emr: EmrSettings) -> list[dict[str, Any]]:
    calculator = "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator"
    return [
        {"Classification": "spark-defaults", "Properties": _executors(emr)},
        {
            "Classification": "capacity-scheduler",  # YARN counts memory only, unless told
            "Properties": {"yarn.scheduler.capacity.resource-calculator": calculator},
        },
        {
            "Classification": "yarn-site",  # the driver not on spot capacity
            "Properties": {
                "yarn.node-labels.enabled": "true",
                "yarn.node-labels.am.default-node-label-expression": "CORE",
            },
        },
    ]


def _network(target: AwsSettings) -> dict[str, Any]:
    if not target.subnets:
        return {}
    groups = list(target.security_groups)
    return {
        "Ec2SubnetIds": list(target.subnets),
        "AdditionalMasterSecurityGroups": groups,
        "AdditionalSlaveSecurityGroups": groups,
    }
