"""Does a value fit a schema of our OpenAPI document? The part of JSON Schema that the document uses."""

import re

TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}
KNOWN = {"type", "properties", "required", "additionalProperties", "items", "enum", "minimum", "maximum", "pattern",
         "nullable", "oneOf", "$ref", "description", "default", "x-least"}


def problems(value, schema, document, at="body"):
    """What does not fit, as sentences; empty: all does."""
    unknown = set(schema) - KNOWN
    assert not unknown, f"the checker knows nothing of {unknown}"
    if "$ref" in schema:
        *_, name = schema["$ref"].split("/")
        return problems(value, document["components"]["schemas"][name], document, at)
    if "oneOf" in schema:
        tried = [problems(value, each, document, at) for each in schema["oneOf"]]
        fitting = sum(not each for each in tried)
        return [] if fitting == 1 else [f"{at}: {fitting} of the variants fit {value!r}: {tried}"]
    if value is None:
        return [] if schema.get("nullable") or "type" not in schema else [f"{at}: null"]
    kind = schema.get("type")
    if kind is not None:
        if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
            return [f"{at}: {value!r} is no {kind}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {schema['enum']}")
    if "minimum" in schema and value < schema["minimum"] or "maximum" in schema and value > schema["maximum"]:
        found.append(f"{at}: {value!r} is out of range")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{at}: {value!r} does not match {schema['pattern']}")
    if kind == "array":
        for i, each in enumerate(value):
            found += problems(each, schema["items"], document, f"{at}[{i}]")
    if kind == "object":
        known = schema.get("properties", {})
        found += [f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value]
        for name, each in value.items():
            if name in known:
                found += problems(each, known[name], document, f"{at}.{name}")
            elif schema.get("additionalProperties") is False:
                found.append(f"{at}: {name} is not in the schema")
    return found
