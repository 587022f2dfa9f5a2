"""Listings of SageMaker: filtered, newest first, in pages."""

from __future__ import annotations

from typing import Any

from tests.integration.aws.standin.calls import Call

PAGE = 10  # items a page where MaxResults is not given


def page_of(
    call: Call, kind: str, found: list[dict[str, Any]], facts: tuple[str, ...]
) -> dict[str, Any]:
    """One page of a listing, newest first, with the filters that SageMaker knows."""
    given = call.params
    kept = [
        item for item in reversed(found)
        if given.get("NameContains", "") in item[f"{kind}Name"]
        and given.get("StatusEquals") in (None, item.get(f"{kind}Status"))
        and given.get("CreationTimeAfter", 0) <= item["CreationTime"]
    ]  # fmt: skip
    first = int(given.get("NextToken") or 0)
    last = first + int(given.get("MaxResults") or PAGE)
    page: dict[str, Any] = {
        f"{kind}Summaries": [
            {fact: item[fact] for fact in facts if fact in item} for item in kept[first:last]
        ]
    }
    return {**page, "NextToken": str(last)} if last < len(kept) else page
