"""docs/aws.md says what the settings, prices, metrics, errors and tests of the code are."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from millrace.aws import emr_capacity, prices
from millrace.aws.images import image_of
from millrace.aws.policies import FOLDER, NAMES, placeholders
from millrace.aws.target import EU_REGIONS, AwsSettings
from millrace.settings import PROJECT, Settings, SettingsError
from millrace.steps.cloudwatch import metric_data

PAGE = (PROJECT / "docs" / "aws.md").read_text(encoding="utf-8")
SHARED = {
    "MILLRACE_LAKE", "MILLRACE_AWS_CONNECTION", "MILLRACE_JOB_TIMEOUT", "MILLRACE_POLL_INTERVAL",
    "MILLRACE_SERVICE_URL",
}  # fmt: skip
TOGETHER = {  # settings that are taken together only
    "MILLRACE_SUBNETS": {"MILLRACE_SECURITY_GROUPS": "sg-0a1b2c3d"},
    "MILLRACE_SECURITY_GROUPS": {"MILLRACE_SUBNETS": "subnet-0a1b2c3d"},
    "MILLRACE_ECS_CLUSTER": {"MILLRACE_ECS_SERVICE": "millrace"},
    "MILLRACE_ECS_SERVICE": {"MILLRACE_ECS_CLUSTER": "models"},
}


def section(title: str) -> str:
    """The text below a heading, up to the next one of any level."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/aws.md has no heading {title!r}"
    return found[1]


def rows(title: str) -> dict[str, list[str]]:
    """The cells of a section's table by the first one, which is code."""
    lines = [line.strip("| ").split(" | ") for line in section(title).splitlines()]
    return {
        cells[0].strip("` "): [cell.strip("` ") for cell in cells]
        for cells in lines
        if len(cells) > 1 and cells[0].startswith("`")
    }


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [text for said, text in found if said == language]


def texts_of_the_code() -> list[str]:
    """Every text constant of the package; adjacent ones are one, as for Python."""
    return [
        node.value
        for path in (PROJECT / "plugins" / "millrace").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_documents_every_setting_of_aws() -> None:
    files = ("target.py", "emr_target.py")
    code = "".join((PROJECT / "plugins/millrace/aws" / name).read_text() for name in files)
    assert set(rows("Settings")) == set(re.findall(r'"(MILLRACE_[A-Z_]+)"', code)) | SHARED


@pytest.mark.parametrize("name", rows("Settings"))
def test_the_example_of_a_setting_is_taken(name: str, tmp_path: Path) -> None:
    _, default, example, _ = rows("Settings")[name]
    if name == "MILLRACE_PRICES":
        example = str(tmp_path / "prices.json")
        Path(example).touch()
    taken = Settings.from_environment({name: example, **TOGETHER.get(name, {})})
    unset = Settings.from_environment(TOGETHER.get(name, {}) if name not in TOGETHER else {})
    assert taken != unset or name == "MILLRACE_ALLOW_REGION_OUTSIDE_EU"
    if default not in ("none", "a local folder"):
        assert Settings.from_environment({name: default}) == unset, f"{name} defaults to {default}"


@pytest.mark.parametrize(
    "name", [n for n, cells in rows("Settings").items() if "refused" in str(cells)]
)
def test_what_is_said_to_be_refused_is(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: "s3:/no such//value"})


def test_the_settings_file_makes_aws_the_engine() -> None:
    (text,) = [block for block in blocks("") if "MILLRACE_SAGEMAKER_ROLE" in block]
    given = dict(line.split("=", 1) for line in text.splitlines())
    assert Settings.from_environment(given).has_aws_target


def test_the_command_lines_give_every_value_of_their_policies() -> None:
    commands = "\n".join(blocks("bash"))
    given = " ".join(re.findall(r"^values\+?=\((.*?)\)$", commands, re.MULTILINE | re.DOTALL))
    (listed,) = re.findall(r"^for policy in (.*); do\n.*millrace\.aws\.policies", commands, re.M)
    filled = [*listed.split(), *re.findall(r"millrace\.aws\.policies (\S+) \"", commands)]
    filled = [name for name in filled if not name.startswith('"')]
    by_stacks = {"sagemaker-network", "service", "service-start", "push", "key"}
    assert set(filled) == set(NAMES) - by_stacks
    for name in filled:
        wanted = placeholders((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert wanted <= set(re.findall(r"(\w+)=", given)), name


def test_names_each_policy() -> None:
    assert set(rows("Least privilege")) == set(NAMES)


def test_the_prices_are_those_of_the_file() -> None:
    said = {region: float(cells[1]) for region, cells in rows("Prices").items()}
    assert said == {
        region: pytest.approx(prices.hourly(kind, "ml.m5.large", region))
        for region in EU_REGIONS
        for kind in ("sagemaker_training", "sagemaker_transform")
    }
    assert json.loads(prices.BUILT_IN.read_text())["date"] in section("Prices")


def test_what_spark_costs_is_what_the_code_estimates() -> None:
    target = AwsSettings(region="eu-central-1")
    said = [line.strip("| ").split(" | ") for line in section("What Spark costs").splitlines()]
    cells = [each for each in said if len(each) == 4 and each[1].isdigit()]
    assert len(cells) == 4
    for images, units, minutes, dollars in cells:
        count = int(images.replace(",", ""))
        seconds = emr_capacity.seconds_for(target.emr, count)
        price = emr_capacity.cluster_hourly(target, emr_capacity.units_for(target.emr, count))
        assert int(units) == emr_capacity.units_for(target.emr, count)
        assert minutes == f"{seconds / 60:.0f} min"
        assert price and dollars == f"${prices.cost(price, seconds):.2f}"
    for instance in ("c7i.2xlarge", "m7i.2xlarge"):
        hourly = prices.hourly("emr_step", instance, "eu-central-1")
        assert f"{hourly:.4f}" in section("What Spark costs")


def test_the_settings_of_spark_are_enough() -> None:
    (most,) = [block for block in blocks("") if "MILLRACE_SAGEMAKER_ROLE" in block]
    (more,) = [block for block in blocks("") if "MILLRACE_EMR_SERVICE_ROLE" in block]
    given = dict(line.split("=", 1) for line in (most + more).splitlines())
    assert Settings.from_environment(given).emr_target().emr.security_configuration


def test_the_example_of_own_prices_is_taken(tmp_path: Path) -> None:
    (example,) = blocks("json")
    own = tmp_path / "prices.json"
    own.write_text(example)
    found = prices.hourly("sagemaker_training", "ml.m5.xlarge", "eu-central-1", own=own)
    assert found == pytest.approx(0.24)


def test_names_the_images() -> None:
    for algorithm in ("xgboost", "lightgbm"):
        image = image_of(algorithm, "eu-central-1").partition("/")[2]
        assert f"`{image}`" in section("Container images")


def test_lists_the_metrics_with_their_units() -> None:
    summary = {
        "winner": "a", "rows": {"train": 8, "test": 2}, "gates": [],
        "candidates": [{"candidate": "a", "cost_usd": 0.1, "metrics": {"roc_auc": 0.9}}],
    }  # fmt: skip
    sent = {
        each["MetricName"].replace("roc_auc", "<metric>"): each["Unit"]
        for each in metric_data("orchard", summary, quarantined=0, seconds=1)
    }
    assert {name: cells[1] for name, cells in rows("Metrics of the runs").items()} == sent


def test_the_errors_are_those_of_the_code() -> None:
    known = texts_of_the_code()
    listed = [
        words
        for line in section("When something breaks").splitlines()
        for words in re.findall(r"`([^`]+)`", line.split(" | ")[0])
        if line.startswith("| `")
    ]
    assert len(listed) > 15
    in_code = {words: words.removeprefix("cannot be used: ") for words in listed}
    assert [w for w in listed if not any(in_code[w] in text for text in known)] == []


def test_every_test_it_names_exists() -> None:
    for file, test in re.findall(r"`(test_\w+\.py)::(\w+)`", PAGE):
        code = "".join(path.read_text() for path in (PROJECT / "tests").rglob(file))
        assert f"def {test}(" in code, f"{file}::{test}"


def test_every_path_and_link_leads_somewhere() -> None:
    paths = re.findall(r"`((?:plugins|tests|include|dags|docs)/[\w./-]+)`", PAGE)
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE)
    gone = [path for path in paths if not (PROJECT / path).exists()]
    assert gone + [link for link in links if not (PROJECT / "docs" / link).exists()] == []


def test_every_link_within_the_page_meets_a_heading() -> None:
    titles = re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)
    known = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= known
