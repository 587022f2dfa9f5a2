"""Prices: the project's price file for instances it knows, the inputs for the others."""

from __future__ import annotations

from dataclasses import dataclass

from bench.scaling.inputs import Inputs
from bench.scaling.plan import vcpus
from millrace.aws import prices


@dataclass(frozen=True)
class NodePrice:
    """EUR an hour of one node, with EMR's part and its disk."""

    on_demand: float
    spot: float


def node_price(family: str, size: str, inputs: Inputs) -> NodePrice:
    """Spot lowers the price of EC2 only: EMR's part stays.

    Raises:
        ValueError: neither the price file nor the inputs know the family.
    """
    cluster = inputs.cluster
    ec2 = ec2_usd(family, size, inputs)
    fixed = min(ec2 * cluster.emr_surcharge, cluster.emr_surcharge_cap_usd)
    fixed += cluster.ebs_usd_per_node_hour
    rate = cluster.usd_to_eur
    return NodePrice((ec2 + fixed) * rate, (ec2 * cluster.spot_price + fixed) * rate)


def ec2_usd(family: str, size: str, inputs: Inputs) -> float:
    """US dollars an hour on demand. The price file's EMR price holds EMR's quarter."""
    known = prices.hourly("emr_step", f"{family}.{size}", inputs.cluster.region)
    if known is not None:
        return known / (1 + inputs.cluster.emr_surcharge)
    instance = inputs.instances.get(family)
    if instance is None or instance.usd_per_large is None:
        raise ValueError(f"no price of {family}.{size}; add usd_per_large to the inputs")
    return instance.usd_per_large * vcpus(size) / 2


def serverless_eur(inputs: Inputs) -> float:
    """EUR for a vCPU-hour of EMR Serverless with its memory.

    Raises:
        ValueError: the price file does not know the region.
    """
    dollars = prices.serverless_hourly(
        1, inputs.elsewhere.serverless_gb_per_vcpu, inputs.cluster.region
    )
    if dollars is None:
        raise ValueError(f"no price of EMR Serverless in {inputs.cluster.region}")
    return dollars * inputs.cluster.usd_to_eur


def requests_eur(gets: float, puts: float, inputs: Inputs) -> float:
    """EUR for requests to S3; a LIST costs as much as a PUT."""
    dollars = gets * inputs.s3.usd_per_1000_get + puts * inputs.s3.usd_per_1000_put
    return dollars / 1000 * inputs.cluster.usd_to_eur


def storage_eur(size: float, inputs: Inputs) -> float:
    """EUR a month for so many bytes in S3 Standard."""
    return size / 1e9 * inputs.s3.usd_per_gb_month * inputs.cluster.usd_to_eur
