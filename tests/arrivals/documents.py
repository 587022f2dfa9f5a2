"""S3's event documents as AWS sends them, for tests."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

BUCKET = "lake"


def record(
    key: str, *, name: str = "ObjectCreated:Put", sequencer: str = "0055AED6DCD90281E5"
) -> dict[str, Any]:
    """One record of a notification; `key` is given as the object is called."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-01-05T03:11:45.000Z",
        "eventName": name,
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.3"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {
                "name": BUCKET,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:aws:s3:::{BUCKET}",
            },
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": 1024,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "sequencer": sequencer,
            },
        },
    }


def notification(*records: dict[str, Any]) -> dict[str, Any]:
    """What S3 sends to SQS, SNS or Lambda."""
    return {"Records": list(records)}


def in_sns(document: dict[str, Any]) -> dict[str, Any]:
    """As SNS hands it to an SQS queue without raw delivery."""
    return {
        "Type": "Notification",
        "MessageId": "22b80b92",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:uploads",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(document),
    }


def sns_to_lambda(document: dict[str, Any]) -> dict[str, Any]:
    """As SNS hands it to a function."""
    wrapped = {"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": in_sns(document)}
    return {"Records": [wrapped]}


def sqs_to_lambda(*documents: dict[str, Any]) -> dict[str, Any]:
    """As a queue's messages reach a function."""
    return {
        "Records": [
            {
                "messageId": str(number),
                "receiptHandle": "handle",
                "body": json.dumps(document),
                "eventSource": "aws:sqs",
            }
            for number, document in enumerate(documents)
        ]
    }


def from_event_bridge(key: str, kind: str = "Object Created") -> dict[str, Any]:
    """As EventBridge sends it: the key is not encoded."""
    return {
        "version": "0",
        "id": "17793124",
        "detail-type": kind,
        "source": "aws.s3",
        "account": "123456789012",
        "region": "eu-central-1",
        "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": {
            "version": "0",
            "bucket": {"name": BUCKET},
            "object": {
                "key": key,
                "size": 5,
                "etag": "b1946ac92492d2347c6235b4d2611184",
                "sequencer": "00617F08299329D189",
            },
            "reason": "PutObject",
        },
    }


TEST_EVENT = {
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Time": "2026-01-05T03:11:45.000Z",
    "Bucket": BUCKET,
    "RequestId": "5582815E1AEA5ADF",
    "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR",
}
