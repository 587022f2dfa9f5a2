"""Millrace: machine-learning pipelines on Apache Airflow, from raw files to a model in service."""

__version__ = "0.1.0"
