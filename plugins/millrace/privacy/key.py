"""The key under which proofs name people: the Airflow edge of this package."""

from __future__ import annotations

import os
import secrets

from millrace.settings import Settings, SettingsError

SHORTEST = 16  # characters


def installation_key(settings: Settings) -> bytes:
    """The key of this installation: the password of the Airflow connection for it.

    A lake in a folder gets a key of its own in the home on first use, readable by its owner only.

    Raises:
        SettingsError: there is none, or it is too short to keep identifiers from being guessed.
    """
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    name = settings.privacy_connection
    try:
        password = Connection.get(name).password or ""
    except AirflowNotFoundException:
        if not settings.lake.startswith("s3://"):
            return _own_key(settings)
        password = ""
    if len(password) < SHORTEST:
        raise SettingsError(
            f"the Airflow connection {name!r} (MILLRACE_PRIVACY_CONNECTION) has no password of at"
            f" least {SHORTEST} characters; make one with `openssl rand -hex 32` and keep it:"
            " proofs name people under this key"
        )
    return password.encode()


def _own_key(settings: Settings) -> bytes:
    path = settings.home / "privacy.key"
    settings.home.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(draft, path)  # fails where another process was quicker
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
