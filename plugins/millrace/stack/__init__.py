"""The local stack: Airflow and MLflow on this machine, supervised."""

from millrace.stack.lifecycle import Stack, StackError, terminate_as_exit

__all__ = ["Stack", "StackError", "terminate_as_exit"]
