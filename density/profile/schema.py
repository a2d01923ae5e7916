"""The JSON Schema of profiles, for editors and for whoever makes profiles by program."""

from typing import Any

from density.profile.document import Document, WorkloadTable

_REQUIRED = {"Document": ["name", "workloads"], "WorkloadTable": ["engine"]}


def profile_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12): every key with what it means, its unit and its default."""
    schema = Document.model_json_schema(mode="validation")
    defaults = Document().model_dump(mode="json")
    tables = schema.pop("$defs")
    for name, table in {"Document": schema, **tables}.items():
        _tidy(table)
        if name in _REQUIRED:
            table["required"] = _REQUIRED[name]
    for key, field in schema["properties"].items():
        if isinstance(defaults[key], dict) and "$ref" in field:
            _set_defaults(tables[field["$ref"].rpartition("/")[2]], defaults[key])
    _set_defaults(tables["WorkloadTable"], WorkloadTable().model_dump(mode="json"))
    schema["properties"]["workloads"]["minProperties"] = 1
    schema["title"] = "density profile"
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return head | schema | {"$defs": tables}


def _tidy(table: dict[str, Any]) -> None:
    """Take out what only Python knows of: titles made of class names, and null, which TOML does not have."""
    table.pop("title", None)
    for field in table["properties"].values():
        field.pop("title", None)
        field.pop("default", None)
        choices = [choice for choice in field.get("anyOf", ()) if choice != {"type": "null"}]
        if "patternProperties" in field:
            field["additionalProperties"] = False
        if "description" in field:
            field["description"] = " ".join(field["description"].split())
        if len(choices) == 1:
            del field["anyOf"]
            field.update(choices[0])
        elif choices:
            field["anyOf"] = choices


def _set_defaults(table: dict[str, Any], defaults: dict[str, Any]) -> None:
    for key, value in defaults.items():
        if value not in (None, "", {}, []):
            table["properties"][key]["default"] = value
