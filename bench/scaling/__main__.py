"""Hours and cost of the image job on EMR: the tables of docs/scaling.md, or one plan's.

Without --images every table of the document is printed; --write puts them, and the charts, into
the document instead. With --images, one cluster is grown over --nodes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.scaling import document
from bench.scaling.inputs import BUILT_IN, load
from bench.scaling.plan import Plan
from bench.scaling.runs import GROWTH, growth
from bench.scaling.table import blocks, replaced


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m bench.scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--table", choices=sorted(document.TABLES), help="print this table only")
    add("--write", action="store_true", help="renew docs/scaling.md and its charts")
    add("--images", type=count, help="how many images; prints one table of a growing cluster")
    add("--nodes", type=count, nargs="+", default=list(GROWTH), help="workers to try")
    add("--instance", default="m7a", help="instance family (default: %(default)s)")
    add("--precision", choices=["fp32", "bf16", "int8"], help="default: the instance's fastest")
    add("--partitions", type=count, help="number of tasks (default: by the rule)")
    add("--packed", action="store_true", help="images lie in large objects")
    add("--apply", action="store_true", help="project with a stored PCA, fit none")
    add("--on-demand", action="store_true", help="no spot capacity")
    add("--managed", action="store_true", help="managed scaling: start with the core nodes")
    add("--notebook", action="store_true", help="the usual way instead of this job")
    add("--inputs", type=Path, default=BUILT_IN, help="figures to start from, as inputs.json")
    add("--seed", type=int, default=0)
    add("--runs", type=count, default=5, help="simulated runs a figure is the mean of")
    return found


def count(text: str) -> int:
    """A whole number above zero."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


def main(arguments: list[str] | None = None) -> int:
    """Print or write what was asked for."""
    options = parser().parse_args(arguments)
    try:
        inputs = load(options.inputs)
        if options.images:
            if options.instance not in inputs.instances:
                raise ValueError(f"--instance is one of {', '.join(inputs.instances)}")
            print(growth(plan(options), options.nodes, inputs, options.seed, options.runs), end="")
            return 0
        names = [options.table] if options.table else None
        found = document.tables(inputs, options.seed, names)
        if options.write:
            write(found, options)
        else:
            print("\n".join(f"{name}\n{body}" for name, body in found.items()), end="")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def plan(options: argparse.Namespace) -> Plan:
    return Plan(
        images=options.images,
        nodes=options.nodes[0],
        instance=options.instance,
        precision=options.precision,
        notebook=options.notebook,
        partitions=options.partitions,
        packed=options.packed,
        apply=options.apply,
        on_demand=options.on_demand,
        managed=options.managed,
    )


def write(found: dict[str, str], options: argparse.Namespace) -> None:
    """Renew the document; its charts too where all tables are."""
    text = document.PAGE.read_text(encoding="utf-8")
    if options.table:
        found = {**blocks(text), **found}
    document.PAGE.write_text(replaced(text, found), encoding="utf-8")
    if not options.table:
        from bench.scaling import charts  # needs matplotlib, which the tables do not

        charts.write(document.IMAGES, load(options.inputs), options.seed)


if __name__ == "__main__":
    sys.exit(main())
