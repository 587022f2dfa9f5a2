"""Airflow hooks that no provider has."""
