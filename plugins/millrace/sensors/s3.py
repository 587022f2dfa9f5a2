"""The sensor on files in S3."""

from __future__ import annotations

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor

from millrace.sensors.first_look import FirstLook


class RawKeySensor(FirstLook, S3KeySensor):
    """The provider's key sensor, after a first look."""
