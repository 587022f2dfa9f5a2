"""Who calls, and whether they may: on top of moto's users, roles and policies.

Moto's own enforcement looks at actions only; here resources and conditions count as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moto.iam.access_control import CreateAccessKeyFailure, create_access_key
from moto.iam.models import Policy, iam_backends
from moto.sts.models import sts_backends

from tests.integration.aws.standin import actions
from tests.integration.aws.standin.account import ACCOUNT, INSTANCE_PROFILE, ROLE, ROOT_KEY
from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.calls import Call
from tests.integration.aws.standin.policies import Context, decide, trusts

SERVICES = ("sagemaker", "elasticmapreduce", "ec2", "emr-serverless", "lambda", "ecs-tasks")
VERSION = "2012-10-17"
OWN_ROLES = (ROLE, INSTANCE_PROFILE)  # the profile's role has its name, as the console makes it
EVERYTHING = {
    "Version": VERSION,
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
Documents = Mapping[str, Sequence[Mapping[str, Any]]]


class Iam:
    """Users and roles with their policies.

    Args:
        policies: user name to policy documents; None: nobody is refused anything.
        roles: role name to policy documents, besides those that may do everything.
    """

    def __init__(self, policies: Documents | None, roles: Documents):
        self._backend = iam_backends[ACCOUNT]["aws"]
        self.enforced = policies is not None
        self.keys: dict[str, list[str]] = {}
        for user, documents in (policies or {}).items():
            self._add_user(user, documents)
        for role, documents in {**{name: [EVERYTHING] for name in OWN_ROLES}, **roles}.items():
            self._add_role(role, documents)
        self._backend.create_instance_profile(INSTANCE_PROFILE, "/", [])
        self._backend.add_role_to_instance_profile(INSTANCE_PROFILE, INSTANCE_PROFILE)

    def check(self, call: Call, context: Callable[[], Context]) -> None:
        """Refuse a call that its caller may not make; `context`: its condition keys.

        Raises:
            AwsError: AccessDenied and its like, or an unknown access key.
        """
        if not self.enforced or call.access_key == ROOT_KEY or call.operation in actions.FREE:
            return
        arn, documents = self._caller(call)
        known = {"aws:username": arn.rpartition("/")[2], "aws:PrincipalArn": arn, **context()}
        for need in actions.needs(call):
            decision = decide(documents, need.action, need.resource, {**known, **need.context})
            if decision is not True:
                raise _denied(call, arn, need, explicit=decision is False)

    def may(self, call: Call, action: str, resource: str) -> bool:
        """Whether the caller of a call has one more permission."""
        if not self.enforced or call.access_key == ROOT_KEY:
            return True
        return decide(self._caller(call)[1], action, resource, {}) is True

    def role_may(self, role: str, action: str, resource: str, context: Context) -> bool:
        """Whether a role has a permission."""
        if not self.enforced:
            return True
        name = role.rpartition("/")[2]
        return decide(self._role_documents(name), action, resource, context) is True

    def require_role(self, arn: str, service: str) -> None:
        """Refuse a role that is not there or does not trust the service.

        Raises:
            AwsError: in the words of SageMaker.
        """
        name = arn.rpartition("/")[2]
        role = next((role for role in self._backend.roles.values() if role.name == name), None)
        if role is None or not trusts(json.loads(role.assume_role_policy_document), service):
            raise AwsError(
                "ValidationException",
                f"Could not assume role {arn}. Please ensure that the role exists and allows"
                f" principal '{service}' to assume the role.",
            )

    def assume(self, role: str, region: str) -> dict[str, str]:
        """Credentials with a role's rights."""
        session = sts_backends[ACCOUNT]["aws"].assume_role(
            region_name=region, role_session_name="SageMaker", role_arn=role, policy="",
            duration=43200, external_id="",
        )  # fmt: skip
        return {
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token,
        }

    def role_of_profile(self, profile: str) -> str:
        """The ARN of the role in an instance profile.

        Raises:
            AwsError: there is no such profile, in the words of EMR.
        """
        name = profile.rpartition("/")[2]
        for found in self._backend.instance_profiles.values():
            if found.name == name and found.roles:
                arn: str = found.roles[0].arn
                return arn
        raise AwsError("ValidationException", f"Invalid InstanceProfile: {profile}.")

    def _add_user(self, user: str, documents: Sequence[Mapping[str, Any]]) -> None:
        self._backend.create_user("us-east-1", user)
        key = self._backend.create_access_key(user)
        self.keys[user] = [key.access_key_id, key.secret_access_key]
        for number, document in enumerate(documents):
            self._backend.put_user_policy(user, f"policy-{number}", json.dumps(document))

    def _add_role(self, role: str, documents: Sequence[Mapping[str, Any]]) -> None:
        principal = {"Service": [f"{service}.amazonaws.com" for service in SERVICES]}
        trust = {"Version": VERSION, "Statement": [
            {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}  # fmt: skip
        self._backend.create_role(
            role_name=role, assume_role_policy_document=json.dumps(trust), path="/",
            permissions_boundary=None, description="", tags=[], max_session_duration="3600",
        )  # fmt: skip
        for number, document in enumerate(documents):
            self._backend.put_role_policy(role, f"policy-{number}", json.dumps(document))

    def _caller(self, call: Call) -> tuple[str, list[dict[str, Any]]]:
        headers = {"X-Amz-Security-Token": call.token} if call.token else {}
        try:
            found = create_access_key(ACCOUNT, "aws", call.access_key, headers)
        except CreateAccessKeyFailure:
            raise _unknown_key(call) from None
        return found.arn, [_document(policy) for policy in found.collect_policies()]

    def _role_documents(self, name: str) -> list[dict[str, Any]]:
        try:
            inline = self._backend.list_role_policies(name)
            found: list[Any] = [self._backend.get_role_policy(name, item)[1] for item in inline]
            found += self._backend.list_attached_role_policies(name)[0]
        except Exception:  # no such role
            return []
        return [_document(policy) for policy in found]


def _document(policy: Any) -> dict[str, Any]:
    """A policy's document in any of the forms in which moto holds it."""
    if isinstance(policy, Policy):
        policy = next(v.document for v in policy.versions
                      if v.version_id == policy.default_version_id)  # fmt: skip
    elif isinstance(policy, dict) and "policy_document" in policy:
        policy = policy["policy_document"]
    document: dict[str, Any] = json.loads(policy) if isinstance(policy, str) else policy
    return document


def _denied(call: Call, arn: str, need: actions.Need, *, explicit: bool) -> AwsError:
    why = (
        "with an explicit deny in an identity-based policy" if explicit
        else f"because no identity-based policy allows the {need.action} action"
    )  # fmt: skip
    resource = f'"{need.resource}"' if call.service == "s3" else need.resource
    said = f"User: {arn} is not authorized to perform: {need.action} on resource: {resource} {why}"
    if call.protocol in ("json", "rest-json") and call.service != "sqs":
        return AwsError("AccessDeniedException", said, 403 if call.protocol != "json" else 400)
    return AwsError("AccessDenied", said, 403)


def _unknown_key(call: Call) -> AwsError:
    if call.service == "s3":
        return AwsError("InvalidAccessKeyId",
                        "The AWS Access Key Id you provided does not exist in our records.",
                        403)  # fmt: skip
    code = "InvalidClientTokenId" if call.protocol == "query" else "UnrecognizedClientException"
    return AwsError(code, "The security token included in the request is invalid.",
                    403 if call.protocol == "query" else 400)  # fmt: skip
