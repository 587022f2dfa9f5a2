"""Ask a server as fast as it answers, over connections that stay open.

    load.py <url> <connections> <seconds>

The body of the requests is read from standard input. Prints requests/s, and the median and the 99th
percentile of the milliseconds from the first byte sent to the last byte read, as JSON.
"""

import asyncio
import json
import re
import sys
import time
from urllib.parse import urlsplit

import numpy as np

url, connections, seconds = urlsplit(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
body = sys.stdin.buffer.read()
request = (
    f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(body)}\r\n\r\n"
).encode() + body
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


async def ask(end: float, took: list[float]) -> None:
    """One connection: a request, its answer, the next request."""
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    while time.perf_counter() < end:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            raise SystemExit(f"an answer that is none: {head.decode()}")
        await reader.readexactly(int(length[1]))
        took.append(time.perf_counter() - began)
    writer.close()


async def main() -> None:
    """All connections at once."""
    took: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(ask(began + seconds, took) for _ in range(connections)))
    rate = len(took) / (time.perf_counter() - began)
    median, slow = np.percentile(np.array(took) * 1000, [50, 99])
    print(json.dumps({"rate": rate, "median": median, "slow": slow}))


asyncio.run(main())
