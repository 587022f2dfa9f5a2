"""Ports: a taken one is named with its holder before anything starts."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from millrace.stack.ports import Claims, PortError, Ports, available, is_free, owner


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_not_free_and_names_this_process(taken: int) -> None:
    assert not is_free(taken)
    assert f"process {os.getpid()} (" in owner(taken)


def test_a_taken_default_is_replaced_and_said(taken: int) -> None:
    said: list[str] = []
    chosen = available(Ports(airflow=taken), set(), "127.0.0.1", said.append, Claims())
    assert chosen.airflow > taken
    assert is_free(chosen.airflow)
    line = next(line for line in said if f"port {taken} " in line)
    assert f"process {os.getpid()}" in line
    assert str(chosen.airflow) in line


def test_a_taken_port_that_the_user_set_is_an_error_that_says_what_to_set(taken: int) -> None:
    with pytest.raises(
        PortError, match=rf"{taken} \(MILLRACE_MLFLOW_PORT\).*process {os.getpid()}"
    ):
        available(Ports(mlflow=taken), {"mlflow"}, "127.0.0.1", lambda _: None, Claims())


def test_two_parts_of_one_stack_never_get_the_same_port(taken: int) -> None:
    wanted = Ports(airflow=taken, mlflow=taken, logs=taken)
    chosen = available(wanted, set(), "127.0.0.1", lambda _: None, Claims())
    assert len({chosen.airflow, chosen.mlflow, chosen.logs}) == 3


def test_two_stacks_that_start_at_once_get_different_ports(taken: int) -> None:
    wanted, said = Ports(taken + 1, taken + 2, taken + 3), list[str]()
    with Claims() as first:
        before = available(wanted, set(), "127.0.0.1", said.append, first)
        with Claims() as second:
            after = available(wanted, set(), "127.0.0.1", said.append, second)
    assert not {before.airflow, before.mlflow, before.logs} & {
        after.airflow, after.mlflow, after.logs
    }  # fmt: skip
    assert any("is taken by another stack that is starting" in line for line in said)
    with Claims() as third:
        assert available(wanted, set(), "127.0.0.1", said.append, third) == before


def test_ports_come_from_the_environment() -> None:
    ports, explicit = Ports.from_environment(
        {"MILLRACE_AIRFLOW_PORT": "9001", "MILLRACE_MLFLOW_PORT": ""}
    )
    assert ports == Ports(airflow=9001)
    assert explicit == {"airflow"}


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "80.5"])
def test_a_wrong_port_number_is_named(text: str) -> None:
    with pytest.raises(PortError, match="MILLRACE_AIRFLOW_PORT is"):
        Ports.from_environment({"MILLRACE_AIRFLOW_PORT": text})
