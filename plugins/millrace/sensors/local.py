"""The sensor on files in a local folder."""

from __future__ import annotations

from airflow.providers.standard.sensors.filesystem import FileSensor

from millrace.sensors.first_look import FirstLook


class RawFileSensor(FirstLook, FileSensor):
    """The provider's file sensor, after a first look."""
