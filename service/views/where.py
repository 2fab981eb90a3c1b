"""The `where` of a list of trials: conditions joined by commas, all of which must hold.

    lr<0.01,optimizer=adamw,value>=0.9,metric.loss<2,tag=good

A condition is a name, one of = != < <= > >=, and a value.  Names: `number`, `attempt` and `value`
(of the first objective), `reason`, `worker`, `tag`; `metric.<name>` for any value that was told,
`error.<name>` for its standard error, `context.<name>` for what was given with the ask; any other
name, or `config.<name>` where it clashes, is a parameter.  A value is a JSON literal or bare text;
a name or value that holds a comma or an operator goes in double quotes, as in JSON.
So does a permutation, which is a JSON list: `order="[\\"b\\",\\"a\\"]"`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from service.errors import InvalidRequest

LONGEST = 2_000
MOST = 20
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_CONDITION = re.compile(
    rf"""\s*(?P<name>{_QUOTED}|[^<>=!,"]+?)\s*(?P<operator><=|>=|!=|=|<|>)\s*"""
    rf"""(?P<value>{_QUOTED}|[^,"]*?)\s*(?:,|$)"""
)
_NUMBERS: Mapping[str, str] = {
    "number": "t.number::float8",
    "attempt": "t.attempt::float8",
    "value": "t.objective",
}
_TEXTS: Mapping[str, str] = {"reason": "t.reason", "worker": "a.worker"}
_ORDERING = frozenset({"<", "<=", ">", ">="})


@dataclass
class Where:
    """SQL with placeholders, and what goes into them: nothing of the input is in the SQL."""

    sql: list[str] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)

    def add(self, name: str, operator: str, value: str) -> None:
        """Add one condition; raises InvalidRequest."""
        key = f"w{len(self.sql)}"
        if name in _NUMBERS or operator in _ORDERING:
            self.values[f"{key}_value"] = _number(name, value)
        if name in _NUMBERS:
            self._put(f"{_NUMBERS[name]} {_sql(operator)} %({key}_value)s", operator)
        elif name in _TEXTS or name == "tag":
            self._text(key, name, operator, value)
        elif name.startswith("metric."):
            self._document(key, "t.values", name.removeprefix("metric."), operator, value)
        elif name.startswith("context."):
            self._document(key, "t.context", name.removeprefix("context."), operator, value)
        elif name.startswith("error."):
            self._document(key, "t.errors", name.removeprefix("error."), operator, value)
        else:
            self._document(key, "t.config", name.removeprefix("config."), operator, value)

    def _text(self, key: str, name: str, operator: str, value: str) -> None:
        if operator in _ORDERING:
            raise _wrong(f"{name} is text: use = or !=")
        self.values[f"{key}_text"] = _text(value)
        equal = f"%({key}_text)s = any(t.tags)" if name == "tag" else None
        self._put_equal(equal or f"{_TEXTS[name]} = %({key}_text)s", operator)

    def _document(self, key: str, column: str, name: str, operator: str, value: str) -> None:
        self.values[f"{key}_name"] = name
        place = f"{column} -> %({key}_name)s::text"
        if operator in _ORDERING:
            number = f"case jsonb_typeof({place}) when 'number' then ({place})::float8 end"
            self._put(f"{number} {operator} %({key}_value)s", operator)
            return
        self.values[f"{key}_json"] = _literal(value)
        self.values[f"{key}_text"] = _text(value)
        # Unquoted, 1 is the number and the choice "1" alike: whoever minds writes quotes.
        same = f"{place} = %({key}_json)s::jsonb"
        if not value.startswith('"'):
            same = f"({same} or {place} = to_jsonb(%({key}_text)s::text))"
        elif (listed := _list(value)) is not None:
            self.values[f"{key}_list"] = listed
            same = f"({same} or {place} = %({key}_list)s::jsonb)"
        self._put_equal(same, operator)

    def _put(self, sql: str, operator: str) -> None:
        self.sql.append(f"coalesce({sql}, {'true' if operator == '!=' else 'false'})")

    def _put_equal(self, sql: str, operator: str) -> None:
        self.sql.append(f"{'not ' if operator == '!=' else ''}coalesce({sql}, false)")


def parse_where(text: str) -> Where:
    """The conditions as SQL on `trial t` and `attempt a`; raises InvalidRequest."""
    found = Where()
    place = 0
    while place < len(text):
        match = _CONDITION.match(text, place)
        if match is None:
            raise _wrong(f"cannot read it from character {place} on")
        if len(found.sql) == MOST:
            raise _wrong(f"more than {MOST} conditions")
        found.add(_text(match["name"]), match["operator"], match["value"])
        place = match.end()
    return found


def _sql(operator: str) -> str:
    return "is distinct from" if operator == "!=" else operator


def _text(token: str) -> str:
    if not token.startswith('"'):
        return token
    try:
        value = str(json.loads(token))
    except ValueError:
        raise _wrong("a quoted part is no JSON text") from None
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise _wrong("text may hold no NUL character and no lone surrogate")
    return value


def _literal(token: str) -> str:
    """The value as JSON: what is no literal is text."""
    if token.startswith('"') or token in {"true", "false", "null"}:
        return json.dumps(_text(token)) if token.startswith('"') else token
    return (
        token
        if re.fullmatch(r"-?\d{1,17}(\.\d{1,40})?([eE][+-]?\d{1,3})?", token)
        else (json.dumps(token))
    )


def _list(token: str) -> str | None:
    """The JSON list that a quoted text holds, if that is what it holds."""
    text = _text(token)
    try:
        return json.dumps(json.loads(text), allow_nan=False) if text.startswith("[") else None
    except (ValueError, RecursionError):
        return None


def _number(name: str, token: str) -> float:
    if len(token) <= 40 and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", token):
        return float(token)
    raise _wrong(f"{name[:100]} is compared with a number, as in `{name[:100]}<0.5`")


def _wrong(message: str) -> InvalidRequest:
    problem = {"in": "query", "field": "where", "message": message}
    return InvalidRequest(f"where: {message}", errors=[problem])
