"""The sensor on a partition's raw files in S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor

from millrace.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

NOWHERE = "raw/-"  # holds nothing: what matters is whether the lake answers


class RawKeySensor(S3KeySensor):
    """The provider's sensor, after one look into the lake.

    A wrong bucket, refused credentials or another region are told at once, with the setting to
    change; the provider's sensor would fail in the triggerer, and again in each retry.
    """

    def execute(self, context: Context) -> Any:
        from millrace.runs import open_lake

        open_lake(Settings.from_environment()).list(NOWHERE)
        return super().execute(context)
