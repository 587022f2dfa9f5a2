"""What SageMaker checks of roles and S3 when it is called, before anything starts."""

from __future__ import annotations

from moto.s3.models import s3_backends

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.iam import Iam
from tests.integration.aws.standin.storage import split

PRINCIPAL = "sagemaker.amazonaws.com"


class Inputs:
    """Refuses calls (AwsError) whose role or objects SageMaker would not find."""

    def __init__(self, iam: Iam):
        self._iam = iam
        self.require_role = iam.require_role

    def require_objects(self, uri: str, region: str, role: str) -> None:
        """The role must see an object under the prefix, in a bucket of the region."""
        bucket, prefix = split(uri)
        found = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
        seen = self._iam.role_may(
            role, "s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": prefix}
        )
        if not (seen and found and found.region_name == region
                and any(key.startswith(prefix) for key in list(found.keys))):  # fmt: skip
            raise AwsError(
                "ValidationException",
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please'
                f" ensure that the bucket exists in the selected region ({region}), that objects"
                f' exist under that S3 prefix, and that the role "{role}" has "s3:ListBucket"'
                f' permissions on bucket "{bucket}".',
            )

    def require_model_data(self, uri: str, region: str, role: str) -> None:
        """The role must be able to read the model's archive."""
        bucket, key = split(uri)
        found = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
        may = self._iam.role_may(role, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", {})
        if not (may and found and found.region_name == region and key in found.keys):
            raise AwsError(
                "ValidationException",
                f"Could not access model data at {uri}. Please ensure that the role"
                f' "{role}" exists and that its trust relationship policy allows the action'
                f' "sts:AssumeRole" for the service principal "{PRINCIPAL}". Also ensure that the'
                f' role has "s3:GetObject" permissions and that the object is located in {region}.',
            )
