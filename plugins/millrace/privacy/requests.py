"""Requests for erasure: files of the lake, so that no identifier passes through Airflow.

What a run is started with stands in Airflow's metadata database in clear and is never masked
there. A run is therefore told the name of a request only, which says nothing about the person; the
identifier stands in the lake, where the person's data stand, and goes when they are gone.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Mapping

from millrace.datasets import AnySpec
from millrace.lake import LakeError, Store
from millrace.privacy.erase import erase
from millrace.privacy.names import REQUEST
from millrace.privacy.subject import ErasureError, Subject

log = logging.getLogger(__name__)

AREA = "requests"
LONGEST = 1000  # bytes of a request


def add_request(store: Store, spec: AnySpec, identifier: str) -> str:
    """Ask for somebody's erasure; returns the name of the request, which is drawn at random.

    Raises:
        ErasureError: the data set names nobody, or the identifier is empty.
    """
    subject = Subject.of(spec, identifier, b"unused")
    name = f"request-{secrets.token_hex(6)}"
    store.replace(_key(spec.name, name), subject.identifier.encode(), None)
    return name


def open_requests(store: Store, dataset: str) -> list[str]:
    """Names of the requests that wait for a data set.

    Raises:
        ErasureError: a file there has a name that may be somebody's: it is not repeated.
    """
    names = [entry.key.split("/")[-1] for entry in store.list(f"{AREA}/{dataset}")]
    wrong = [name for name in names if not re.fullmatch(REQUEST, name)]
    if wrong:
        raise ErasureError(
            f"{len(wrong)} files in {store.uri(f'{AREA}/{dataset}')} have names that may say"
            " whom they are about; name them with small letters, digits, - and _, such as"
            " request-1, and write the identifier into the file"
        )
    return names


def erase_requested(
    store: Store,
    specs: Mapping[str, AnySpec],
    key: bytes,
    *,
    request: str | None = None,
    mask: Callable[[str], None] = lambda identifier: None,
) -> list[str]:
    """Fulfil requests and remove them; returns the addresses of the proofs.

    Args:
        specs: the data sets whose requests are fulfilled.
        request: the name of one request; None for all that wait.
        mask: told every identifier before it is used, to keep it out of logs.

    Raises:
        ErasureError: there is no such request, or one cannot be fulfilled. It stays.
    """
    waiting = [
        (spec, name)
        for spec in specs.values()
        for name in open_requests(store, spec.name)
        if request in (None, name)
    ]
    if request and not waiting:
        raise ErasureError(
            f"there is no request {request!r} in {store.uri(AREA)}/<data set>/; it may have been"
            " fulfilled: look for its proof, or make one with `make erase`"
        )
    proofs = []
    for done, (spec, name) in enumerate(waiting, start=1):
        identifier = _identifier(store, spec.name, name)
        mask(identifier)
        proofs.append(store.uri(erase(store, spec, identifier, key)))
        _remove(store, spec.name, name)
        log.info("Fulfilled %s of %s (%d of %d).", name, spec.name, done, len(waiting))
    if not waiting:
        log.info("No request waits in %s.", store.uri(AREA))
    return proofs


def _identifier(store: Store, dataset: str, name: str) -> str:
    found = store.read(_key(dataset, name))
    text = found[0].decode("utf-8-sig", errors="replace").strip() if found else ""
    if not text or len(text) > LONGEST or len(text.splitlines()) != 1:
        raise ErasureError(
            f"{store.uri(_key(dataset, name))} is no single line of text; write one identifier"
            " into it, a file for each person"
        )
    return text


def _remove(store: Store, dataset: str, name: str) -> None:
    store.delete(_key(dataset, name))
    try:
        store.forget(f"{AREA}/{dataset}")
    except LakeError as error:
        log.warning("Old versions of the request %s stay: %s", name, error)


def _key(dataset: str, name: str) -> str:
    return f"{AREA}/{dataset}/{name}"
