"""The OpenAPI document: one pair of paths for each model in service, made from its card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millrace import __version__
from serving.forms import RequestForm
from serving.model import ServedModel

TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
REF = "#/components/schemas/"
ERRORS = {
    404: "No such model.", 413: "The request is too large.", 422: "A field is not what it must be.",
    500: "The request could not be answered.", 501: "The model cannot be explained exactly.",
    503: "The model is not loaded yet, or too many requests come at once.",
}  # fmt: skip


def document(
    forms: Mapping[str, tuple[ServedModel, RequestForm]], most_rows: int
) -> dict[str, Any]:
    """OpenAPI 3.1 of the models in service.

    Args:
        forms: the model and the form of its requests, by data set.
        most_rows: records in one request.
    """
    schemas: dict[str, Any] = {
        "Answer": _answer(), "Contribution": _contribution(), "Error": _error(),
        "Problem": _problem(),
    }  # fmt: skip
    paths: dict[str, Any] = {
        "/": {"get": _get("Health: every model with its version", "service", 503)},
        "/metrics": {"get": {
            "summary": "Figures for Prometheus", "tags": ["service"],
            "responses": {"200": {"description": "Figures.",
                                  "content": {"text/plain": {"schema": TEXT}}}},
        }},
    }  # fmt: skip
    for dataset, (model, form) in sorted(forms.items()):
        name = f"{dataset}_record"
        schemas[name] = form.one.json_schema(ref_template=REF + "{model}")
        predict = _predict(dataset, model.card["description"], name, form.example, most_rows)
        paths[f"/{dataset}/predict"] = {"post": predict}
        paths[f"/{dataset}/model"] = {"get": _get(f"The model of {dataset}", dataset)}
        if len(forms) == 1:
            paths["/predict"] = {"post": {**predict, "operationId": "predict"}}
    return {
        "openapi": "3.1.0", "info": {"title": "Millrace", "version": __version__},
        "paths": paths, "components": {"schemas": schemas},
    }  # fmt: skip


def _predict(
    dataset: str, description: str, record: str, example: Mapping[str, Any], most_rows: int
) -> dict[str, Any]:
    one, many = {"$ref": REF + record}, {"$ref": REF + "Answer"}
    return {
        "summary": f"Predict {dataset}", "description": description, "tags": [dataset],
        "operationId": f"predict_{dataset}",
        "parameters": [{
            "name": "explain", "in": "query", "schema": {"type": "boolean", "default": False},
            "description": "With what each feature adds to the raw score.",
        }],
        "requestBody": {"required": True, "content": {"application/json": {
            "schema": {"oneOf": [one, {
                "type": "array", "items": one, "minItems": 1, "maxItems": most_rows,
            }]},
            "example": dict(example),
        }}},
        "responses": {
            "200": {"description": "One answer, or a list of them.", "content": {
                "application/json": {"schema": {"oneOf": [many, {"type": "array", "items": many}]}},
            }},
            **_errors(*ERRORS),
        },
    }  # fmt: skip


def _get(summary: str, tag: str, *more: int) -> dict[str, Any]:
    said = {"application/json": {"schema": {"type": "object"}}}
    responses: dict[str, Any] = {"200": {"description": "What is known.", "content": said}}
    if more:
        responses["503"] = {"description": "A model is missing.", "content": said}
    else:
        responses |= _errors(404, 503)
    return {"summary": summary, "tags": [tag], "responses": responses}


def _errors(*statuses: int) -> dict[str, Any]:
    schema = {"application/json": {"schema": {"$ref": REF + "Error"}}}
    return {str(each): {"description": ERRORS[each], "content": schema} for each in statuses}


def _answer() -> dict[str, Any]:
    return {
        "type": "object", "required": ["class", "probability", "version", "missing"],
        "properties": {
            "class": {**TEXT, "description": "What the model decides."},
            "probability": {**NUMBER, "description": "Of the positive class; of several classes,"
                            " of the one that is named."},
            "probabilities": {"type": "object", "additionalProperties": NUMBER},
            "threshold": {**NUMBER, "description": "From here on the positive class is named."},
            "version": {**TEXT, "description": "Of the model, in the registry."},
            "missing": {"type": "array", "items": TEXT,
                        "description": "Fields the model had to do without."},
            "expected": {**NUMBER, "description": "Raw score of nobody in particular."},
            "raw": {**NUMBER, "description": "Raw score: expected and all contributions."},
            "contributions": {"type": "array", "items": {"$ref": REF + "Contribution"}},
        },
    }  # fmt: skip


def _contribution() -> dict[str, Any]:
    return {"type": "object", "required": ["feature", "contribution"],
            "properties": {"feature": TEXT, "contribution": NUMBER}}  # fmt: skip


def _problem() -> dict[str, Any]:
    return {
        "type": "object", "required": ["loc", "message"],
        "properties": {
            "loc": {"type": "array", "items": {"oneOf": [TEXT, WHOLE]}}, "message": TEXT,
            "field": TEXT, "accepts": {**TEXT, "description": "What the field takes."},
        },
    }  # fmt: skip


def _error() -> dict[str, Any]:
    problems = {"type": "array", "items": {"$ref": REF + "Problem"}}
    return {
        "type": "object", "required": ["detail", "request_id"],
        "properties": {"detail": {"oneOf": [TEXT, problems]}, "request_id": TEXT},
    }  # fmt: skip
