"""An AWS account on this machine in which submitted jobs really run.

One process holds moto's server (S3, SQS, IAM, STS, CloudWatch, Lambda's control plane) and, in
front of it, control planes of SageMaker, EMR, EMR Serverless, Athena and ECS that execute what is
submitted.
"""

from tests.integration.aws.standin.client import StandIn

__all__ = ["StandIn"]
