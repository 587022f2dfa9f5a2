"""Training jobs that only pass the time: SageMaker's and CloudWatch's calls, over HTTP.

    simulated_sagemaker.py <file> <seconds a call takes>

Writes its address into the file. Every name is a job that has begun and says a line every ten
seconds; jobs end only after `POST /end`, evenly over some seconds. Calls are counted.
"""

import asyncio
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path

LINE_EVERY = 10.0  # seconds between two lines of a job's log
GROUP = "arn:aws:sagemaker:eu-west-3:123456789012:training-job"


class Jobs:
    """The jobs and what was asked about them."""

    def __init__(self, names: list[str]) -> None:
        self.begun = time.time()
        self.ends = dict.fromkeys(names, float("inf"))
        self.calls: Counter[str] = Counter()
        self.asked: set[str] = set()

    def end(self, within: float) -> None:
        """Let the jobs end one after the other, the last after `within` seconds."""
        now, step = time.time(), within / len(self.ends)
        self.ends = {name: now + step * (n + 1) for n, name in enumerate(self.ends)}

    def facts(self) -> dict:
        """What the benchmark wants to know."""
        return {"calls": self.calls, "asked": len(self.asked), "ends": self.ends}

    def describe_training_job(self, given: dict) -> dict:
        name = given["TrainingJobName"]
        self.asked.add(name)
        ended = self._has_ended(name)
        return {
            "TrainingJobName": name,
            "TrainingJobArn": f"{GROUP}/{name}",
            "TrainingJobStatus": "Completed" if ended else "InProgress",
            "SecondaryStatus": "Completed" if ended else "Training",
            "TrainingTimeInSeconds": int(time.time() - self.begun),
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
            "CreationTime": self.begun,
        }

    def list_training_jobs(self, given: dict) -> dict:
        first = int(given.get("NextToken", 0))
        size = given.get("MaxResults", 10)
        found = [
            entry
            for entry in map(self._summary, self.ends)
            if given.get("StatusEquals") in (None, entry["TrainingJobStatus"])
            and given.get("LastModifiedTimeAfter", 0) <= entry["LastModifiedTime"]
        ]
        page = found[first : first + size]
        self.asked.update(entry["TrainingJobName"] for entry in page)
        more = {"NextToken": str(first + size)} if first + size < len(found) else {}
        return {"TrainingJobSummaries": page, **more}

    def describe_log_streams(self, given: dict) -> dict:
        return {"logStreams": [{"logStreamName": f"{given['logStreamNamePrefix']}algo-1"}]}

    def get_log_events(self, given: dict) -> dict:
        name = given["logStreamName"].partition("/")[0]
        written = int((min(time.time(), self.ends[name]) - self.begun) / LINE_EVERY) + 1
        first = int(given.get("nextToken", "f/0").partition("/")[2])
        lines = [{"timestamp": 0, "message": f"round {n} of many"} for n in range(first, written)]
        return {"events": lines, "nextForwardToken": f"f/{written}", "nextBackwardToken": "b/0"}

    def _summary(self, name: str) -> dict:
        ended = self._has_ended(name)
        return {
            "TrainingJobName": name,
            "TrainingJobArn": f"{GROUP}/{name}",
            "TrainingJobStatus": "Completed" if ended else "InProgress",
            "CreationTime": self.begun,
            "LastModifiedTime": self.ends[name] if ended else self.begun,
        }

    def _has_ended(self, name: str) -> bool:
        return self.ends[name] <= time.time()


class Server:
    """HTTP/1.1, as little of it as botocore needs."""

    def __init__(self, seconds: float) -> None:
        self.jobs, self.seconds = Jobs([]), seconds

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests, one after the other."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?i)content-length: (\d+)", head)
                text = await reader.readexactly(int(length[1]) if length else 0)
                answer = json.dumps(await self.answer(head, json.loads(text or b"{}"))).encode()
                kind = "Content-Type: application/x-amz-json-1.1"
                sent = f"HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {len(answer)}\r\n\r\n"
                writer.write(sent.encode() + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def answer(self, head: str, given: dict) -> dict:
        """The answer to a call, or to a wish of the benchmark's."""
        if target := re.search(r"(?i)x-amz-target: \w+\.(\w+)", head):
            self.jobs.calls[target[1]] += 1
            await asyncio.sleep(self.seconds)
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", target[1]).lower()
            return getattr(self.jobs, name)(given)
        if "/begin" in head:
            self.jobs = Jobs(given["names"])
        elif "/end" in head:
            self.jobs.end(given["within"])
        return self.jobs.facts()


async def main(address: Path, seconds: float) -> None:
    server = await asyncio.start_server(Server(seconds).serve, "127.0.0.1", 0, backlog=2000)
    port = server.sockets[0].getsockname()[1]
    draft = address.with_suffix(".draft")
    draft.write_text(f"http://127.0.0.1:{port}")
    draft.rename(address)
    await server.serve_forever()


asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
