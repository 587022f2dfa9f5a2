"""The steps of a pipeline: each reads what was published, works, and publishes.

A step is a function of a `Run`. Nothing here knows Airflow; the DAGs call one step a task, and
import it there, because the steps import the heavy libraries.
"""
