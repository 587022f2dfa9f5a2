"""What a spec says, as Markdown for the Airflow UI."""

from __future__ import annotations

from millrace.datasets import DatasetSpec


def describe_spec(spec: DatasetSpec) -> str:
    """The DAG's documentation page."""
    gates = ", ".join(
        f"{metric} {'>=' if gate.minimum is not None else '<='} "
        f"{gate.minimum if gate.minimum is not None else gate.maximum:g}"
        for metric, gate in spec.gates.items()
    )
    target = spec.target
    lines = [
        f"# {spec.name}",
        spec.description,
        "",
        f"- **Target**: `{target.column}` = `{target.positive}` {target.description}",
        f"- **Candidates**: {', '.join(f'`{name}`' for name in spec.candidates)}",
        f"- **Judged by**: {spec.metric}; gates: {gates or 'none'}",
        f"- **Raw files**: `raw/{spec.name}/<partition>/{spec.raw.files}`",
        f"- **Source**: {spec.source or 'not stated'}",
        "",
        "| column | role | description |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {column.role} | {column.description} |"
        for name, column in spec.columns.items()
    ]
    lines += [
        f"| `{name}` | engineered | {feature.description} |"
        for name, feature in spec.features.items()
    ]
    return "\n".join(lines)
