"""The step: sums squares with Spark and puts the result on S3; fails if told to."""

import json
import sys
import time

import boto3
from pyspark.sql import SparkSession


def main(output: str, fail: str) -> None:
    session = SparkSession.builder.appName("count_squares").getOrCreate()
    print("counting", flush=True)
    time.sleep(8)
    total = session.range(1000).selectExpr("sum(id * id) AS total").first()["total"]
    if fail == "True":
        raise RuntimeError(f"told to fail with {total}")
    bucket, _, key = output.removeprefix("s3://").partition("/")
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps({"sum": total}))
    print("counted", total, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
