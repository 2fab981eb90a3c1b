"""A route for calls that come thousands of times a second: FastAPI's routes without its solver.

FastAPI finds out for each request what a handler wants, which costs several times what the call
itself does (1.2 ms of processor time around a heartbeat of 0.2 ms).  These handlers all want the
same: one part of the path, a body, the resources and the caller.  They are declared as any other
route is, so that OpenAPI describes them; only the way a request takes is shorter.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from service.auth.deps import bearer, known_key, require
from service.auth.principal import Principal
from service.http.json import StrictRoute, read_json
from service.resources import Resources

RUNNER = require("run")


class HotRoute(StrictRoute):
    """For handlers `(<path parameter>, body, needs, caller: Runner) -> Response`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        assert self.body_field is not None
        body_type: type[BaseModel] = self.body_field.field_info.annotation  # type: ignore[assignment]
        (path_name,) = self.param_convertors
        handle = self.endpoint

        async def handle_directly(request: Request) -> Response:
            needs: Resources = request.app.state.resources
            caller = await _caller(request, needs)
            values = await read_json(request, self.largest_body(needs.settings))
            answer: Response = await handle(
                **{path_name: request.path_params[path_name]},
                body=_parse(body_type, values),
                needs=needs,
                caller=caller,
            )
            return answer

        return handle_directly


async def _caller(request: Request, needs: Resources) -> Principal:
    return await RUNNER(await known_key(needs, await bearer(request)))


def _parse(body_type: type[BaseModel], values: Any) -> BaseModel:
    if values is None:
        raise RequestValidationError(
            [{"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}],
            body=None,
        )
    try:
        return body_type.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise RequestValidationError(
            [{**item, "loc": ("body", *item["loc"])} for item in found], body=values
        ) from None
