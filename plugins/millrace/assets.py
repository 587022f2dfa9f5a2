"""The assets that start runs: features, champions and alarms of data sets, each by partition.

Events always carry the partition as their key: a run that a schedule started has one, a run that
was started by hand has none, and a DAG that listens for partitions hears only of the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Asset

FEATURES, CHAMPION, DRIFT = "features", "champion", "drift"


def features_of(dataset: str) -> Asset:
    """The published features of a data set."""
    return _asset(FEATURES, dataset)


def champion_of(dataset: str) -> Asset:
    """The champion of a data set, as a partition left it."""
    return _asset(CHAMPION, dataset)


def drift_of(dataset: str) -> Asset:
    """An alarm: what comes in has moved away from what the champion was judged on."""
    return _asset(DRIFT, dataset)


def _asset(kind: str, dataset: str) -> Asset:
    # An address with a scheme makes Airflow import every provider's handler, boto3 among them.
    return Asset(name=f"{dataset} {kind}", uri=f"{kind}/{dataset}", group="millrace")


def announce(context: Mapping[str, Any], asset: Asset, *partitions: str, **extra: Any) -> None:
    """Say in a task, which has the asset among its outlets, which partitions of it have changed."""
    events = context["outlet_events"][asset]
    events.add_partitions([*partitions])
    events.extra = extra


def heard(context: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Address of the asset and what was said, of each event that started this run."""
    return [
        (each.asset.uri, each.extra)
        for events in context["triggering_asset_events"].values()
        for each in events
    ]


def dataset_of(uri: str) -> str:
    """The data set that an asset belongs to."""
    return uri.rstrip("/").rpartition("/")[2]


def changed(events: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Data sets that have something new to score, from addresses of assets and extras of events.

    A champion that stayed the same is nothing new.
    """
    return sorted({dataset_of(uri) for uri, extra in events if extra.get("changed", True)})
