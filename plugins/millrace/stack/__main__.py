"""Command line of the local stack."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from millrace.errors import MillraceError
from millrace.settings import Settings
from millrace.stack.lifecycle import Stack, terminate_as_exit


def main(arguments: list[str] | None = None) -> int:
    """Command line: `python -m millrace.stack up|down|status|airflow [argument ...]`."""
    parser = argparse.ArgumentParser(
        prog="millrace.stack", description="Airflow, MLflow and the model service, here."
    )
    parser.add_argument("command", choices=["up", "down", "status", "airflow"])
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of `airflow`")
    options = parser.parse_args(arguments)
    command = options.command
    terminate_as_exit()
    try:
        stack = Stack(Settings.from_environment())
        if command == "up":
            stack.up()
        elif command == "down":
            stack.down()
        elif command == "airflow":
            _become_airflow(stack, options.arguments)
        up = stack.is_up()
    except MillraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(_addresses(stack) if up else "down; `make up` starts it")
    return 0 if up or command == "down" else 3


def _become_airflow(stack: Stack, arguments: list[str]) -> None:
    """Turn into Airflow's own command line, with the settings of the stack."""
    airflow = str(Path(sys.executable).with_name("airflow"))
    os.execve(airflow, [airflow, *arguments], stack.environment())  # noqa: S606


def _addresses(stack: Stack) -> str:
    return (
        f"Airflow  {stack.airflow_url}  (log in as {stack.username}, password {stack.password})\n"
        f"MLflow   {stack.mlflow_url}\n"
        f"service  {stack.service_url}  (how to ask its models: {stack.service_url}/docs)\n"
        f"logs     {stack.home / 'log'}\n"
        f"lake     {stack.settings.lake}\n"
        f"engine   {stack.settings.engine}"
    )


if __name__ == "__main__":
    sys.exit(main())
