"""Nothing is begun where it could not end well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.commands import GIVEN, Run, stack_in_moto
from tests.infrastructure.evaluate import REGION

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")  # what moto leaves out


class TestRefusals:
    def test_parameters_are_checked_before_anything_is_asked(self, cloud: Any, run: Run) -> None:
        said = run("deploy", "Bucket=Our.Lake", "Colour=red", "LogDays=8", "JobDays=1")
        assert said.status == 1
        first, *rest = said.error.splitlines()
        assert first == "error: the parameters cannot be used:"
        assert [line.split()[0] for line in rest] == [
            "Bucket", "Colour", "LogDays", "JobDays", "AlarmEmail",
        ]  # fmt: skip
        assert "Bucket is 'Our.Lake'; write 3 to 63 of a-z, 0-9 and -" in said.error
        assert "LogDays is '8'; write one of 7, 14, 30" in said.error
        assert "JobDays is '1'; write 7 to 3650" in said.error
        assert "AlarmEmail is not given: Address that gets the alarms" in said.error

    @pytest.mark.parametrize(
        ("status", "remedy"),
        [
            ("ROLLBACK_COMPLETE", "`make destroy` clears it away, then deploy again"),
            ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name millrace"),
            ("UPDATE_IN_PROGRESS", "wait until that has ended"),
        ],
    )
    def test_a_stack_that_is_stuck(self, cloud: Any, run: Run, status: str, remedy: str) -> None:
        run("deploy", "--yes", *GIVEN)
        stack_in_moto().status = status
        said = run("deploy", "--yes")
        assert said.status == 1
        assert f"the stack millrace is in {status}; " in said.error and remedy in said.error

    @pytest.mark.parametrize("region", ["us-east-1", "eu-west-2"])
    def test_a_region_outside_the_eu(
        self, cloud: Any, run: Run, monkeypatch: pytest.MonkeyPatch, region: str
    ) -> None:
        monkeypatch.setenv("MILLRACE_AWS_REGION", region)
        said = run("deploy", *GIVEN)
        assert said.status == 1
        assert f"the region is '{region}', outside the EU" in said.error
        assert "eu-central-1" in said.error

    def test_no_region(self, cloud: Any, run: Run, nowhere: None) -> None:
        said = run("deploy", *GIVEN)
        assert said.error.startswith("error: no region is set; write MILLRACE_AWS_REGION into .env")

    def test_no_credentials(
        self, cloud: Any, run: Run, nowhere: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MILLRACE_AWS_REGION", REGION)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        said = run("destroy")
        assert said.status == 1
        assert "Unable to locate credentials; log in first (`aws configure`" in said.error

    def test_a_name_that_could_not_be_a_repositorys(self, run: Run) -> None:
        with pytest.raises(SystemExit):
            run("deploy", "--stack", "Mill_Race")


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No region, and nothing of the machine's own by which boto3 could find one."""
    monkeypatch.delenv("MILLRACE_AWS_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
