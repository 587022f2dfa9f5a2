"""What a spec says, as Markdown for the Airflow UI."""

from __future__ import annotations

from millrace.datasets import AnySpec, DatasetSpec, ImageSpec, RelationalSpec


def describe_spec(spec: AnySpec) -> str:
    """The DAG's documentation page."""
    gates = ", ".join(
        f"{metric} {'>=' if gate.minimum is not None else '<='} "
        f"{gate.minimum if gate.minimum is not None else gate.maximum:g}"
        for metric, gate in spec.gates.items()
    )
    lines = [
        f"# {spec.name}",
        spec.description,
        "",
        _target(spec),
        f"- **Candidates**: {', '.join(f'`{name}`' for name in spec.candidates)}",
        f"- **Judged by**: {spec.metric}; gates: {gates or 'none'}",
        f"- **Raw files**: `raw/{spec.name}/<partition>/{spec.raw.files}`",
        f"- **Source**: {spec.source or 'not stated'}",
    ]
    if isinstance(spec, RelationalSpec):
        lines += _tables(spec)
    else:
        lines += _columns(spec) if isinstance(spec, DatasetSpec) else _features(spec)
    return "\n".join(lines)


def _target(spec: AnySpec) -> str:
    if isinstance(spec, ImageSpec):
        return "- **Target**: the label, which is the name of the folder that holds the image"
    target = spec.target
    return f"- **Target**: `{target.column}` = `{target.positive}` {target.description}"


def _columns(spec: DatasetSpec) -> list[str]:
    lines = ["", "| column | role | description |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {column.role} | {column.description} |"
        for name, column in spec.columns.items()
    ]
    lines += [
        f"| `{name}` | engineered | {feature.description} |"
        for name, feature in spec.features.items()
    ]
    return lines


def _tables(spec: RelationalSpec) -> list[str]:
    lines = [
        f"- **Features**: one query a table in `include/sql/{spec.sql}`, one row for each"
        f" `{spec.id_column}` of `{spec.entity}`",
        "",
        "| table | files | belongs to | description |",
        "|---|---|---|---|",
    ]
    for name, table in spec.tables.items():
        owners = ", ".join(dict.fromkeys(table.references.values()))
        may = " (may be absent)" if table.optional else ""
        lines.append(f"| `{name}` | `{table.files}`{may} | {owners} | {table.description} |")
    return lines


def _features(spec: ImageSpec) -> list[str]:
    split, kept = spec.split, spec.components
    components = f"{kept}" if isinstance(kept, int) else f"as many as keep {kept:.0%} of variance"
    held_out = f"{split.test:.0%} of the images, each by itself"
    if split.order is not None:
        held_out = (
            f"an arc of {split.test:.0%} of each series of views (the number that"
            f" `{split.order}` finds in the file's name), {split.gap:.0%} on both sides left out"
        )
    return [
        f"- **Network**: `{spec.network}`, precision {spec.precision}",
        f"- **Principal components**: {components}",
        f"- **Held out for the test**: {held_out}",
        f"- **Unusable images**: {spec.raw.tolerance:.0%} are tolerated and set aside",
    ]
