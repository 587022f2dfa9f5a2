"""Image URIs of SageMaker's framework containers.

`images.json` is taken from AWS's own list, in the SageMaker SDK (package `sagemaker-core`,
Apache-2.0); only facts are taken: accounts, repositories, tags. To renew it:
`python -m millrace.aws.images --refresh`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).with_name("images.json")
PACKAGE = "sagemaker-core"
LISTS = {"xgboost": "xgboost.json", "scikit-learn": "sklearn.json"}
USUAL = r"(?:af|ap|ca|eu|il|me|mx|sa|us)-(?!gov|iso)\w+-\d"  # of AWS's main partition


def framework_of(algorithm: str) -> str:
    """The framework whose container trains an algorithm; LightGBM is installed into one."""
    return "xgboost" if algorithm == "xgboost" else "scikit-learn"


def image_of(algorithm: str, region: str, own: Mapping[str, str] | None = None) -> str:
    """URI of the container that trains an algorithm and predicts with it.

    Args:
        region: one of `regions()`.
        own: image URIs by framework, which win.
    """
    framework = framework_of(algorithm)
    if own and framework in own:
        return own[framework]
    image = _data()["frameworks"][framework]
    account = _data()["accounts"][region]
    return f"{account}.dkr.ecr.{region}.amazonaws.com/{image['repository']}:{image['tag']}"


def regions() -> frozenset[str]:
    """The regions that have these containers."""
    return frozenset(_data()["accounts"])


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return data


def summary(lists: Mapping[str, Mapping[str, Any]], source: str, date: str) -> dict[str, Any]:
    """What is kept of the SDK's lists: the newest container for training and for inference.

    Args:
        lists: the SDK's list of each framework.
        source: package and version they come from.
        date: day the package was published.

    Raises:
        ValueError: the frameworks stand in different accounts.
    """
    frameworks, accounts = {}, []
    for name, known in lists.items():
        training, inference = (known[scope]["versions"] for scope in ("training", "inference"))
        tag = max((version for version in training if version in inference), key=_order)
        facts = training[tag]
        suffix = ["cpu", *facts["py_versions"]] if facts.get("processors") else []
        frameworks[name] = {"repository": facts["repository"], "tag": "-".join([tag, *suffix])}
        accounts.append({k: v for k, v in facts["registries"].items() if re.fullmatch(USUAL, k)})
    if any(found != accounts[0] for found in accounts):
        raise ValueError("the frameworks stand in different accounts; keep accounts for each")
    return {
        "source": source, "date": date, "license": "Apache-2.0",
        "frameworks": frameworks, "accounts": dict(sorted(accounts[0].items())),
    }  # fmt: skip


def _order(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version.removesuffix("-py312"))]


def fetch() -> dict[str, Any]:
    """The summary of the newest published SDK."""
    import io
    import urllib.request
    import zipfile
    from urllib.parse import urljoin

    page = f"https://pypi.org/pypi/{PACKAGE}/json"
    with urllib.request.urlopen(page) as answer:
        facts = json.load(answer)
    wheel = next(item for item in facts["urls"] if item["packagetype"] == "bdist_wheel")
    with urllib.request.urlopen(urljoin(page, wheel["url"])) as answer:  # noqa: S310 - PyPI's own
        archive = zipfile.ZipFile(io.BytesIO(answer.read()))
    paths = {Path(path).name: path for path in archive.namelist() if "image_uri_config" in path}
    lists = {name: json.loads(archive.read(paths[file])) for name, file in LISTS.items()}
    return summary(lists, f"{PACKAGE} {facts['info']['version']}", wheel["upload_time"][:10])


def main() -> None:
    """Show the image URIs, or renew the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refresh", action="store_true", help="take AWS's newest list from PyPI")
    if parser.parse_args().refresh:
        DATA.write_text(json.dumps(fetch(), indent=2) + "\n", encoding="utf-8")
        _data.cache_clear()
    for region in sorted(regions()):
        for framework in LISTS:
            sys.stdout.write(f"{image_of(framework, region)}\n")


if __name__ == "__main__":
    main()
