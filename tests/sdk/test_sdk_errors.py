import pytest
from trimtab import errors

from service.errors import ServiceError


def every(root):
    for kind in root.__subclasses__():
        yield kind
        yield from every(kind)


def test_every_code_of_the_server_has_a_class_of_the_same_name():
    served = {kind.code: kind.__name__ for kind in every(ServiceError)}
    known = {code: kind.__name__ for code, kind in errors.BY_CODE.items()}
    assert len(served) > 20
    assert known == served


def test_the_tree_at_the_top_names_every_class_with_its_status():
    statuses = {kind.code: kind.status for kind in every(ServiceError)}
    drawn = errors.__doc__
    for kind in [*every(errors.TrimtabError), errors.Released]:
        (line,) = [
            text for text in drawn.splitlines() if f"── {kind.__name__} " in text.ljust(99)
        ] or [text for text in drawn.splitlines() if text.startswith(kind.__name__)]
        if issubclass(kind, errors.ApiError) and kind is not errors.ApiError:
            assert str(statuses[kind.code]) in line


def test_an_unknown_code_is_a_plain_api_error():
    error = errors.api_error(418, {"code": "teapot", "title": "I am a teapot", "detail": "short"})
    assert type(error) is errors.ApiError
    assert (error.status, error.title, str(error)) == (418, "I am a teapot", "short")


def test_a_body_that_is_no_problem_still_makes_an_error():
    error = errors.api_error(404, {})
    assert str(error) == "the server answered 404"


def test_the_message_names_the_fields_and_says_what_to_do():
    wrong = {
        "code": "invalid_request",
        "detail": "a field is wrong",
        "errors": [{"in": "body", "field": "budget.trials", "message": "must be positive"}],
        "request_id": "r1",
    }
    error = errors.api_error(422, wrong)
    assert str(error) == "a field is wrong\n  budget.trials: must be positive"
    assert (error.errors[0]["field"], error.request_id) == ("budget.trials", "r1")
    once = {
        "detail": "a: must be positive",
        "errors": [{"field": "a", "message": "must be positive"}],
    }
    assert str(errors.api_error(422, once)) == "a: must be positive"
    refused = errors.api_error(401, {"code": "unauthenticated", "detail": "An API key is needed"})
    assert "set TRIMTAB_API_KEY" in str(refused)


def test_released_is_not_swallowed_by_except_exception():
    assert not issubclass(errors.Released, Exception)


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (errors.InvalidSpec, ValueError),
        (errors.NothingToRun, TimeoutError),
        (errors.MissingPackage, ImportError),
    ],
)
def test_errors_that_python_has_a_name_for_are_those_too(kind, also):
    assert issubclass(kind, also)
