"""`make redeploy IMAGE=<image:tag>`: the model service on ECS gets another image, or keeps its own.

The same models must then answer through the load balancer as before, from the new release; where
they do not, the service goes back to the revision it ran, and that is seen to answer too.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from millrace.aws import ecs
from millrace.aws.errors import AwsBusy, aws_calls
from millrace.aws.remedies import remedy_of
from millrace.errors import MillraceError
from millrace.infrastructure.account import client_of
from millrace.jobs.ecs_rollback import EcsRollback
from millrace.jobs.ecs_service import EcsDeployment
from millrace.jobs.foreground import follow
from millrace.jobs.job import Request, State
from millrace.jobs.names import job_name
from millrace.lake import Store, open_store
from millrace.model_service import ModelService, NoAnswer
from millrace.settings import Settings
from millrace.steps.verify import IN_A_ROW, DeploymentFailed, NotVerified, Patience, see_served

IMAGE = re.compile(r"[\w./:-]+(?::(?!latest$)[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class Standing:
    """What a service serves.

    Attributes:
        release: the tag of its image, as it tells it; None where it tells none.
        models: by data set version and content (hash of its files).
    """

    release: str | None
    models: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Redeployment:
    """An image for the service that is set.

    Args:
        client: gives boto3's client of an AWS service.
        tell: gets every line for people.
    """

    settings: Settings
    image: str
    client: Callable[[str], Any]
    tell: Callable[[str], None] = print
    patience: Patience = field(default_factory=Patience)

    def carry_out(self) -> None:
        """Bring the image into service.

        Raises:
            DeploymentFailed: it did not come into service; the message says why, and what did.
            MillraceError: it cannot be tried.
        """
        before = self._standing()
        job, status = self._follow("ecs_deployment")
        reason = status.reason or status.detail
        if status.state is State.SUCCEEDED:
            try:
                self._see(Standing(ecs.release_of(self.image), before.models if before else {}))
                self.tell(f"{self._service.url} runs {self.image} ({job.id.rpartition('/')[2]}).")
                return
            except NotVerified as error:
                reason = str(error)
        what = f"{self.image} did not come into service: {reason}"
        if remedy := remedy_of(reason):
            what += f"\nWhat to do: {remedy}"
        if before is None:
            raise DeploymentFailed(f"{what}\nNothing answered before it either, so it stays.")
        self.tell(f"Going back, because {what}")
        self._follow("ecs_rollback")
        try:
            self._see(before)
        except NotVerified as error:
            raise DeploymentFailed(
                f"{what}\nWhat was in service before it is not either: {error}"
            ) from error
        raise DeploymentFailed(f"{what}\nWhat was in service before it is again, verified.")

    def _follow(self, kind: str) -> Any:
        """Run a job of ECS to its end."""
        aws = self.settings.ecs_target()
        home, release = f"{aws.ecs_cluster}/{aws.ecs_service}", ecs.release_of(self.image)
        name = job_name("service", "", "image", release, {"image": self.image, "service": home})
        body = {"image": self.image, "tags": {"project": "millrace", "release": release[:256]}}
        request = Request(kind, name, body, self.settings.job_timeout, home, hourly=0.0, alone=home)
        backend = {"ecs_deployment": EcsDeployment, "ecs_rollback": EcsRollback}[kind]
        clients = self.client("ecs"), self.client("logs")
        return follow(
            backend(*clients), self._lake(), request, self.settings.poll_interval, self.tell
        )

    def _lake(self) -> Store:
        root = self.settings.lake
        return open_store(root, self.client("s3")) if root.startswith("s3://") else open_store(root)

    @property
    def _service(self) -> ModelService:
        return ModelService(self.settings.service_url)

    def _standing(self) -> Standing | None:
        """What is served now; None where nothing answers, which an image may be meant to cure."""
        try:
            health = self._service.health()
            served = [name for name, model in health["models"].items() if model.get("version")]
            cards = {name: self._service.model(name) for name in served}
        except NoAnswer as error:
            self.tell(f"No model can be compared with what is served today: {error}")
            return None
        models = {
            name: {"version": card["version"], "content": card["content"]}
            for name, card in cards.items() if card
        }  # fmt: skip
        told = ", ".join(f"{name} {each['version']}" for name, each in models.items()) or "no model"
        self.tell(f"{self._service.url} serves {told}; release {health.get('release')}.")
        return Standing(health.get("release"), models)

    def _see(self, wanted: Standing) -> None:
        """Ask until enough answers in a row are of the release, then for each model."""
        in_a_row, end = 0, time.monotonic() + self.patience.seconds
        while in_a_row < IN_A_ROW:
            try:
                found = self._service.health()
                said = f"release {found.get('release')}, {found['status']}"
                fits = (found.get("release"), found["status"]) == (wanted.release, "ok")
            except NoAnswer as error:
                said, fits = str(error), False
            in_a_row = in_a_row + 1 if fits else 0
            if time.monotonic() > end:
                raise NotVerified(
                    f"{self._service.url} does not run release {wanted.release} with all of its"
                    f" models after {self.patience.seconds:g} s; it told last: {said}"
                )
            time.sleep(0 if fits else self.patience.pause)
        for name, model in wanted.models.items():
            see_served(
                self._service, name, model["version"], model["content"], self.patience,
                refusable=False,
            )  # fmt: skip
            self.tell(f"{name}: version {model['version']} answers and predicts.")


def main(arguments: list[str] | None = None) -> int:
    """Bring an image into service; 0 if it is then there."""
    parser = argparse.ArgumentParser(prog="make redeploy", description=__doc__)
    parser.add_argument("image", type=_image, help="address of the image with a tag that stays")
    image = parser.parse_args(arguments).image
    try:
        settings = Settings.from_environment()
        region = settings.ecs_target().region
        with aws_calls(f"redeploying {image}"):
            Redeployment(settings, image, lambda name: client_of(name, region), _tell).carry_out()
    except (MillraceError, AwsBusy) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nNo longer watching; ECS goes on by itself. The same command takes it up again.",
              file=sys.stderr)  # fmt: skip
        return 130
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)


def _image(text: str) -> str:
    if not IMAGE.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} names no image that stays what it is; write <repository>:<tag> with another"
            " tag than latest, as `make push` prints it"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
