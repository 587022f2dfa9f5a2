"""What SageMaker's training toolkit does around a script: folders, variables, arguments.

The names and rules are those of the open-source package sagemaker-training.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HOST = "algo-1"
ROOT = "/opt/ml"  # of the container; a folder of the job's stands for it
PYTHON = "/miniconda3/bin/python"
LONGEST_REASON = 1024  # characters of a FailureReason


def hyperparameters(given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The script's own hyperparameters and the platform's (`sagemaker_...`), decoded from JSON."""
    own: dict[str, Any] = {}
    platform: dict[str, Any] = {}
    for name, text in given.items():
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        (platform if name.startswith("sagemaker_") else own)[name] = value
    return own, platform


def arguments(own: Mapping[str, Any]) -> list[str]:
    """Hyperparameters as command-line arguments, sorted by name."""
    found: list[str] = []
    for name in sorted(own):
        value = own[name]
        if isinstance(value, dict):
            value = ",".join(f"{key}={value[key]}" for key in sorted(value))
        found += [f"--{name}" if len(name) > 1 else f"-{name}", str(value)]
    return found


def variables(
    root: Path, request: Mapping[str, Any], own: Mapping[str, Any], program: str
) -> dict[str, str]:
    """The SM_* variables; `root` stands for /opt/ml."""
    channels = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    resources = request["ResourceConfig"]
    module = root / "code"
    instance = resources.get("InstanceType", "ml.m5.large")
    found = {
        "SM_HOSTS": [HOST], "SM_CURRENT_HOST": HOST, "SM_CURRENT_INSTANCE_TYPE": instance,
        "SM_NUM_CPUS": os.cpu_count() or 1, "SM_NUM_GPUS": 0, "SM_NUM_NEURONS": 0,
        "SM_MODEL_DIR": root / "model", "SM_INPUT_DIR": root / "input",
        "SM_INPUT_CONFIG_DIR": root / "input" / "config", "SM_OUTPUT_DIR": root / "output",
        "SM_OUTPUT_DATA_DIR": root / "output" / "data",
        "SM_OUTPUT_INTERMEDIATE_DIR": root / "output" / "intermediate",
        "SM_CHANNELS": sorted(channels), "SM_HPS": dict(own), "SM_USER_ARGS": arguments(own),
        "SM_MODULE_NAME": program.removesuffix(".py"), "SM_MODULE_DIR": module,
        "SM_USER_ENTRY_POINT": program, "SM_LOG_LEVEL": 20, "SM_NETWORK_INTERFACE_NAME": "eth0",
        "SM_RESOURCE_CONFIG": {"current_host": HOST, "hosts": [HOST],
                               "current_instance_type": instance},
        "SM_INPUT_DATA_CONFIG": {name: {"TrainingInputMode": "File"} for name in channels},
        **{f"SM_CHANNEL_{name.upper()}": root / "input" / "data" / name for name in channels},
        **{f"SM_HP_{name.upper()}": value for name, value in own.items()},
    }  # fmt: skip
    texts = {name: _text(value) for name, value in found.items()}
    if "CheckpointConfig" in request:  # a script cannot find the real folder's path here
        texts["SM_CHECKPOINT_DIR"] = str(root / "checkpoints")
    return {
        **texts, "PYTHONPATH": str(module), "TRAINING_JOB_NAME": request["TrainingJobName"],
        **mapped(request.get("Environment", {}), root),
    }  # fmt: skip


def mapped(values: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """The values with paths of the container replaced by those of the job's folder."""
    return {
        name: value.replace(f"{ROOT}/", f"{root}/") if isinstance(value, str) else value
        for name, value in values.items()
    }


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else str(value)


def failure_reason(code: int, command: str, errors: Sequence[str]) -> str:
    """What SageMaker says when a script ended with another code than 0."""
    code = 128 - code if code < 0 else code
    text = "\n".join(errors)
    reason = (
        f'AlgorithmError: ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "{text}"\n'
        f'Command "{command}", exit code: {code}'
    )
    if len(reason) > LONGEST_REASON:
        reason = reason[: LONGEST_REASON - 3] + "..."
    return reason


def error_lines(lines: Sequence[str]) -> list[str]:
    """The lines of standard error from the last traceback's error on, as the toolkit takes them."""
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith("Traceback (most recent call last)"):
            return [line for line in lines[number + 1 :] if line.strip()]
    return list(lines[-10:])
