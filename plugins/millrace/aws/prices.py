"""What a job may cost: an estimate from a dated price file, which own prices can replace.

Prices are on demand. What spot capacity costs is known only afterwards, so for a spot job this is
the upper bound.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from millrace.variables import SettingsError

BUILT_IN = Path(__file__).with_name("prices.json")
KINDS = ("sagemaker_training", "sagemaker_transform", "emr_step", "emr_serverless", "athena")
MINIMUM = {"emr_step": 60.0}  # seconds that are billed at least, by kind of job
MEGABYTE, TERABYTE = 10**6, 10**12  # bytes
LEAST_SCANNED = 10 * MEGABYTE  # that Athena bills for a query at least

Prices = Mapping[str, Mapping[str, Mapping[str, float]]]
"""US dollars an hour by kind of job, region, and instance type, family or unit; `tb` of `athena`:
for each TB that a query reads."""


def hourly(
    kind: str, instance: str, region: str, count: int = 1, *, own: Path | None = None
) -> float | None:
    """Price of an hour, in US dollars; None where it is not known.

    Args:
        kind: one of `KINDS`, as in a job's request.
        instance: such as `ml.m5.large`; `vcpu` or `gb` for EMR Serverless.
        count: instances, or vCPUs or GB.
        own: a price file whose entries win (`MILLRACE_PRICES`).

    Raises:
        SettingsError: the own price file cannot be used.
    """
    for path in (own, BUILT_IN):
        known = load(path).get(kind, {}).get(region, {}) if path else {}
        price = _price(known, instance)
        if price is not None:
            return price * count
    return None


def serverless_hourly(
    vcpus: float, gigabytes: float, region: str, *, own: Path | None = None
) -> float | None:
    """Price of an hour of an EMR Serverless job with so much capacity at work."""
    vcpu = hourly("emr_serverless", "vcpu", region, own=own)
    gigabyte = hourly("emr_serverless", "gb", region, own=own)
    if vcpu is None or gigabyte is None:
        return None
    return vcpu * vcpus + gigabyte * gigabytes


def cost(hourly: float, seconds: float, kind: str = "") -> float:
    """US dollars for a job of a kind that ran so long: AWS bills by the second."""
    return hourly * max(seconds, MINIMUM.get(kind, 0.0)) / 3600


def terabyte(region: str, *, own: Path | None = None) -> float | None:
    """Price of a TB that a query of Athena reads, in US dollars; None where it is not known."""
    return hourly("athena", "tb", region, own=own)


def scan_cost(terabyte: float, scanned: int) -> float:
    """US dollars for a query of Athena that read so many bytes: whole megabytes, 10 at least."""
    billed = max(-(-scanned // MEGABYTE) * MEGABYTE, LEAST_SCANNED)
    return terabyte * billed / TERABYTE


def _price(known: Mapping[str, float], instance: str) -> float | None:
    """The price of a type, or of so many times the size `large` of its family."""
    if instance in known:
        return known[instance]
    family, _, size = instance.rpartition(".")
    times = larges(size)
    return known[family] * times if family in known and times else None


def larges(size: str) -> int | None:
    """How many times the size `large` a size is."""
    if size == "large":
        return 1
    found = re.fullmatch(r"(\d*)xlarge", size)
    return 2 * int(found[1] or 1) if found else None


@cache
def load(path: Path) -> Prices:
    """Read and check a price file: `{"prices": {kind: {region: {instance: dollars}}}}`.

    Raises:
        SettingsError: it cannot be used; the message names the entry.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(path, f"it cannot be read: {error}") from None
    prices = data.get("prices") if isinstance(data, dict) else None
    for kind, regions in _entries(prices, path, "prices"):
        if kind not in KINDS:
            raise _unusable(path, f"prices / {kind} is no kind of job; write {', '.join(KINDS)}")
        for region, instances in _entries(regions, path, f"prices / {kind}"):
            where = f"prices / {kind} / {region}"
            for instance, price in _entries(instances, path, where):
                if type(price) not in (int, float) or not 0 <= price < 10_000:
                    raise _unusable(path, f"{where} / {instance} is {price!r}; write dollars")
    return prices or {}


def _entries(value: Any, path: Path, where: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise _unusable(path, f"{where} is {value!r}; write an object")
    return list(value.items())


def _unusable(path: Path, why: str) -> SettingsError:
    return SettingsError(f"the price file {path} (MILLRACE_PRICES) cannot be used: {why}")
