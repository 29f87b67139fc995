"""What the server says of itself: OpenAPI with the app's own columns."""

from __future__ import annotations

import json
from typing import Any

from mlwild import __version__
from mlwild.columns import Column, Columns
from mlwild.serve.arms import Standing

_written = json.JSONEncoder(ensure_ascii=False).encode
_STATUS = ["normal", "degraded", "fallback", "refused"]
_ERRORS = {
    "400": "It is not UTF-8, no strict JSON, or its id cannot be one.",
    "401": "The key is absent, wrong or revoked.",
    "408": "The body did not come in time.",
    "409": "The id was used for another request.",
    "413": "Too many bytes or rows.",
    "415": "It is not application/json in UTF-8, or it is compressed; CSV is not read.",
    "421": "The name of the host is not one that is answered to.",
    "422": "A row is not what the app reads.",
    "429": "Too many of your rows are waiting.",
    "431": "The head of the request is too long.",
    "500": "It could not be answered, by a fault of the server.",
    "503": "Too many rows or requests are waiting, or the answer could not be logged.",
}


_YEAR, _TIME = r"(1[789]|2[01])\d\d", r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?"
#: A day that is: with the leap years from 1700 to 2199.
_DAY = (
    rf"({_YEAR}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
    r"|((1[789]|2[01])(0[48]|[2468][048]|[13579][26])|2000)-02-29)"
)
_BARE, _ZONED = rf"^{_DAY}(T{_TIME})?$", rf"^{_DAY}T{_TIME}(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"


#: A column that the app once had, and what is said to callers who still give it.
_PAST = {"deprecated": True, "description": "The app reads it no longer: it is ignored."}
_IGNORED = {
    "ignored": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Only where there are any: fields that were given, and that the app reads no longer.",
    }
}
#: How a key is given, where one is needed.
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}


def described(standing: Standing, most: int, *, keyed: bool = False) -> dict[str, Any]:
    """Return the OpenAPI description of what is live, and whether a key is needed."""
    told, columns = standing.champion.told, standing.columns
    row: dict[str, Any] = {
        "type": "object",
        "properties": {one.name: _column(one, one.name == columns.time) for one in columns.needed}
        | {name: {} for name in columns.hidden}
        | dict.fromkeys(columns.past, _PAST),
        "additionalProperties": False,
    }
    if told["clock"] == "tick":
        row["required"] = [columns.time]
        row["properties"][columns.time]["type"] = "integer"
    else:
        row["anyOf"] = [{"required": [name]} for name in columns.names]
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}, "minItems": 1, "maxItems": most}
    batch = {
        "type": "object",
        "properties": {"rows": rows, "id": _id()},
        "required": ["rows"],
        "additionalProperties": False,
    }
    schemas = {
        "Row": row,
        "Batch": batch,
        "Prediction": _prediction(told),
        "Answer": _answer(told),
        "Error": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
    }
    asks = {"anyOf": [{"$ref": "#/components/schemas/Batch"}, {"$ref": "#/components/schemas/Row"}]}
    flat, forms = _flat(told), _mlflow(rows, list(row["properties"]), columns)
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": told["app"], "version": __version__},
        "paths": {
            "/predict": {"post": _post("Answer rows", asks, {"$ref": "#/components/schemas/Answer"})},
            "/invocations": {"post": _post("Answer rows in the formats of MLflow", forms, flat)},
            "/health": {"get": _get("Whether the process runs", "application/json")},
            "/ready": {
                "get": _get(
                    "Whether a model answers", "application/json", no="No model answers, or the log cannot be written."
                )
            },
            "/metrics": {"get": _get("Figures for Prometheus", "text/plain")},
        },
        "components": {"schemas": schemas},
    }
    if keyed:
        made["components"]["securitySchemes"] = _KEYS
        for path, page in made["paths"].items():
            for one in page.values():
                one["security"] = [] if path == "/health" else [{name: []} for name in _KEYS]
    return made


def _column(column: Column, when: bool) -> dict[str, Any]:
    """Return what a column may hold; of times also what formats of JSON Schema cannot say."""
    made = dict(column.schema)
    if column.kind == "time" and not column.zoned:
        del made["format"]  # that one has a zone
    if column.kind == "time":
        made["pattern"] = _ZONED if column.zoned else _BARE
        made["description"] = f"A time {'with its' if column.zoned else 'without a'} zone, from 1700 to 2199."
    if when:
        made["description"] = f"{made.get('description', '')} At most a day in the future; absent: now.".strip()
    return made


def _id() -> dict[str, Any]:
    said = "Names the request: asked again under that name, it gets the same answer."
    return {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,128}$", "description": said}


def _value(told: dict[str, Any]) -> dict[str, Any]:
    """Return what a value may be, and what it is of; null where a row is refused."""
    classes = told["classes"] or []
    if told["ask"] == "probabilities":
        made = {"type": ["array", "null"], "items": {"type": "number"}, "minItems": len(classes)}
        said = f"The probability of each class: {', '.join(map(_written, classes))}; null if refused."
        return made | {"maxItems": len(classes), "description": said}
    if told["ask"] == "class":
        return {"enum": [*classes, None], "description": "The class; null if refused."}
    what = f"The probability of {_written(classes[-1])}" if classes else "The prediction"
    return {"type": ["number", "null"], "description": f"{what}; null if refused."}


def _classes(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of the classes beside probabilities of several."""
    said = "Of each value, what its probabilities are of, in this order."
    return {"classes": {"const": told["classes"], "description": said}} if told["ask"] == "probabilities" else {}


def _prediction(told: dict[str, Any]) -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": ["number", "null"]}
    likely = {"type": ["array", "null"], "items": {"enum": told["classes"]}} if told["classes"] else {"type": "null"}
    chance = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    fields = {
        "value": _value(told),
        "low": number | {"description": "The outcome is to lie between low and high; null where that is not known."},
        "high": number,
        "likely": likely
        | {"description": "The classes that the outcome is to be among; null where that is not known."},
        "status": {"enum": _STATUS, "description": "How it was made; refused: there is no value."},
        "cause": text | {"description": "Why it is not normal, in words."},
        "stage": text | {"description": "Who answered: the champion, or whoever stands behind it."},
        "vintage": text | {"description": "Which model answered."},
        "arm": {"enum": ["champion", "canary"]},
        "expected_loss": number | {"description": "Mean loss of the stage on such rows, answered or not, or null."},
        "chance": chance | {"description": "Of this answer among those that could have been drawn; 1: none was drawn."},
        "age_seconds": number | {"description": "Since the newest label was known that there was."},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _answer(told: dict[str, Any]) -> dict[str, Any]:
    predictions = {"type": "array", "items": {"$ref": "#/components/schemas/Prediction"}}
    fields: dict[str, Any] = {"id": {"type": "string"}, "predictions": predictions}
    fields |= _classes(told)
    return {"type": "object", "properties": fields | _IGNORED, "required": list(fields)}


def _flat(told: dict[str, Any]) -> dict[str, Any]:
    how: dict[str, Any] = {"type": "object", "properties": {"status": {"enum": _STATUS}, "cause": {"type": "string"}}}
    how["required"] = ["status", "cause"]
    fields: dict[str, Any] = {
        "predictions": {
            "type": "array",
            "items": _value(told),
            "description": "Values, as MLflow's servers give them.",
        },
        "statuses": {"type": "array", "items": how, "description": "Of each value, how it was made."},
    }
    fields |= _classes(told)
    return {"type": "object", "properties": fields | _IGNORED, "required": list(fields)}


def _mlflow(rows: dict[str, Any], names: list[str], columns: Columns) -> dict[str, Any]:
    data = {
        "type": "array",
        "items": {"type": "array"},
        "minItems": 1,
        "description": "Rows: of each a value for every one of the columns, in their order.",
    }
    split = {
        "type": "object",
        "properties": {
            "columns": {
                "type": "array",
                "items": {"enum": names},
                "contains": {"enum": list(columns.names)},
                "uniqueItems": True,
            },
            "data": data,
            "index": {"type": "array"},
        },
        "required": ["columns", "data"] if columns.reordered else ["data"],
        "additionalProperties": False,
    }
    lists = {
        "type": "object",
        "additionalProperties": {"type": "array", "minItems": 1},
        "minProperties": 1,
        "description": "Columns of one length, by their names.",
    }
    inputs = {"anyOf": [rows, {"$ref": "#/components/schemas/Row"}, lists]}
    forms = {"dataframe_split": split, "dataframe_records": rows, "instances": rows, "inputs": inputs}
    return {
        "oneOf": [
            {"type": "object", "properties": {name: form}, "required": [name], "additionalProperties": False}
            for name, form in forms.items()
        ]
    }


def _post(summary: str, asks: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "summary": summary,
        "parameters": [{"name": "X-Request-Id", "in": "header", "required": False, "schema": _id()}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": asks}}},
        "responses": {"200": {"description": "Answers", "content": {"application/json": {"schema": answers}}}}
        | {code: {"description": said, "content": error} for code, said in _ERRORS.items()},
    }


def _get(summary: str, kind: str, no: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"200": {"description": summary, "content": {kind: {}}}}
    if no:
        made["503"] = {"description": no, "content": {kind: {}}}
    for code in ("401", "421"):
        error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        made[code] = {"description": _ERRORS[code], "content": error}
    return {"summary": summary, "responses": made}
