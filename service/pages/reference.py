"""The API's documentation as one plain page, made from its OpenAPI document: nothing is fetched."""

import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from service.openapi import operations

# What a reader looks for first; groups that come later follow.
ORDER = ("studies", "trials", "looking", "workers", "methods", "fleet", "keys")


def reference(found: dict[str, Any]) -> str:
    """The page."""
    groups: dict[str, list[str]] = {tag: [] for tag in ORDER}
    for path, verb, operation in operations(found):
        tag = (operation.get("tags") or ["other"])[0]
        groups.setdefault(tag, []).append(_operation(path, verb, operation))
    tags = "".join(
        f'<li><a href="#{escape(tag)}">{escape(tag)}</a></li>' for tag in groups if groups[tag]
    )
    body = "".join(
        f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(parts)}'
        for tag, parts in groups.items()
        if parts
    )
    return page(
        f"{found['info']['title']} API",
        f"<p>{_prose(found['info']['description'])}</p><nav><ul>{tags}"
        '<li><a href="#schemas">schemas</a></li>'
        f'<li><a href="/openapi.json">openapi.json</a></li></ul></nav>{body}'
        f'<h2 id="schemas">schemas</h2>{_schemas(found["components"]["schemas"])}',
    )


def page(title: str, body: str) -> str:
    """A page around the body, which is HTML already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/style.css"></head>'
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )


def _operation(path: str, verb: str, operation: Mapping[str, Any]) -> str:
    description = operation.get("description") or operation.get("summary", "")
    parts = [f"<p>{_prose(description)}</p>"]
    if scopes := [scope for one in operation.get("security", ()) for scope in one["key"]]:
        parts.append(f"<p>Scope: {escape(' or '.join(scopes))}</p>")
    if parameters := operation.get("parameters"):
        rows = (
            (p["name"], p["in"], _type(p["schema"]), p["schema"].get("description", ""))
            for p in parameters
        )
        parts.append(_table(("parameter", "in", "type", ""), rows))
    if body := operation.get("requestBody"):
        schema = body["content"]["application/json"]["schema"]
        parts.append(f"<p>Body: {_link(schema)}</p>")
    answers = (
        (status, answer["description"], _content(answer.get("content", {})))
        for status, answer in operation["responses"].items()
    )
    parts.append(_table(("answer", "", "body"), answers, html=2))
    first = description.split("\n", 1)[0].split(".  ", 1)[0].rstrip(".")
    summary = f"<code>{verb.upper()} {escape(path)}</code> <small>{_prose(first)}</small>"
    return f"<details><summary>{summary}</summary>{''.join(parts)}</details>"


def _prose(text: str) -> str:
    """Text as HTML, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _content(content: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{_link(one.get('schema', {}))} <small>{escape(kind)}</small>"
        for kind, one in content.items()
    )


def _schemas(schemas: Mapping[str, Any]) -> str:
    return "".join(
        f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"<p>{escape(schema.get('description', ''))}</p>"
        f"<pre>{escape(json.dumps(schema.get('properties', schema), indent=2))}</pre></details>"
        for name, schema in sorted(schemas.items())
    )


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"{_type(schema['items'])}, repeated"
    return str(schema.get("type") or schema.get("$ref", "any").rsplit("/", 1)[-1])


def _link(schema: Mapping[str, Any]) -> str:
    if "$ref" not in schema:
        return escape(_type(schema)) if schema else ""
    name = escape(schema["$ref"].rsplit("/", 1)[-1])
    return f'<a href="#schema-{name}">{name}</a>'


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]], *, html: int = -1) -> str:
    """A table of text; the column at `html` holds HTML already."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(
        f"<tr>{''.join(_cell(cell, raw=place == html) for place, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(cell: str, *, raw: bool) -> str:
    return f"<td>{cell if raw else escape(cell)}</td>"
