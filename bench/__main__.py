"""`make bench`: every benchmark, or one by name; a line a comparison, and `bench/results.json`.

For seconds and MB less is better, so a ratio below 1 speaks for ours; for rows/s it is one above.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import bench
from bench.measure import BenchmarkError, Comparison, load

RESULTS = Path(__file__).with_name("results.json")
NOT_BENCHMARKS = {"__main__", "measure", "process_tree", "servers"}


def benchmarks() -> dict[str, str]:
    """Every benchmark and the first line of what it says about itself."""
    found = {}
    for module in pkgutil.iter_modules(bench.__path__):
        if module.name not in NOT_BENCHMARKS and not module.ispkg:
            said = import_module(f"bench.{module.name}").__doc__ or ""
            found[module.name] = said.partition("\n")[0]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks asked for."""
    known = benchmarks()
    listing = "\n".join(f"  {name:14} {what}" for name, what in known.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"{__doc__}\nBenchmarks:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", help="run this one only")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file to write")
    options = parser.parse_args(arguments)
    if options.name is not None and options.name not in known:
        print(f"error: no benchmark {options.name!r}; there are:\n{listing}", file=sys.stderr)
        return 2
    results: list[Comparison] = []
    try:
        run_all([options.name] if options.name else list(known), results)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:  # what was measured before a failure or an interruption is kept
        write_results(results, options.results)
    return 0


def run_all(names: list[str], results: list[Comparison]) -> None:
    """Run benchmarks one after another; print each comparison as it is known, and keep it."""
    for name in names:
        started = time.monotonic()
        print(f"{name}: measuring ({load()})", file=sys.stderr, flush=True)
        for comparison in import_module(f"bench.{name}").run():
            print(comparison, flush=True)
            results.append(comparison)
        print(f"{name}: took {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def write_results(results: list[Comparison], path: Path) -> None:
    """Write the comparisons as a JSON list."""
    rows: list[dict[str, Any]] = [comparison.as_dict() for comparison in results]
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
