"""What the service answers when something is wrong.

Every error is one class here; its code is part of the API and is what the SDK maps.

ServiceError
├── 400 InvalidJson          the body is no JSON object, or has NaN, repeated keys, deep nesting
├── 401 Unauthenticated      no key, or one that is unknown, revoked or expired
├── 403 Forbidden            the key lacks the scope
├── 404 NotFound             no such thing in this project
├── 405 MethodNotAllowed
├── 409 StudyExists          the name is taken
├── 409 StudyPaused          no new leases while it is paused
├── 409 WrongState           the study or trial is not in a state that allows this
├── 409 LeaseLost            another attempt has begun, or the trial has ended
├── 409 LeaseInUse           the lease id was used for another trial or study
├── 409 AlreadyTold          told before, with another outcome
├── 409 ConfigExists         the study has a trial with this config
├── 410 StudyEnded           stopped or completed: nothing more to run; `reason` says why
├── 412 RevisionConflict     somebody changed it since the revision in If-Match
├── 413 BodyTooLarge
├── 415 UnsupportedMediaType
├── 422 InvalidRequest       a field is wrong; `errors` names each
├── 422 UnsupportedStudy     the searcher cannot serve the study
├── 422 IdempotencyMismatch  the key was used for another request
├── 422 LimitExceeded        more points, metrics or checkpoints than one trial may have
├── 428 PreconditionRequired PATCH needs If-Match
├── 429 TooManyRequests
├── 500 InternalError
└── 503 Unavailable          the database cannot be reached or is too slow: try again
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ServiceError(Exception):
    """Root of what the API answers as problem+json."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.reason = reason


class InvalidJson(ServiceError):
    """The body is not valid JSON."""

    status, code, title = 400, "invalid_json", "The body is not valid JSON"


class Unauthenticated(ServiceError):
    """An API key is needed."""

    status, code, title = 401, "unauthenticated", "An API key is needed"


class Forbidden(ServiceError):
    """The key does not allow this."""

    status, code, title = 403, "forbidden", "The key does not allow this"


class NotFound(ServiceError):
    """Not found."""

    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(ServiceError):
    """The method is not allowed here."""

    status, code, title = 405, "method_not_allowed", "The method is not allowed here"


class StudyExists(ServiceError):
    """A study of this name exists."""

    status, code, title = 409, "study_exists", "A study of this name exists"


class StudyPaused(ServiceError):
    """The study is paused."""

    status, code, title = 409, "study_paused", "The study is paused"


class WrongState(ServiceError):
    """The state does not allow this."""

    status, code, title = 409, "wrong_state", "The state does not allow this"


class LeaseLost(ServiceError):
    """The lease is lost."""

    status, code, title = 409, "lease_lost", "The lease is lost"


class LeaseInUse(ServiceError):
    """The lease id was used for something else."""

    status, code, title = 409, "lease_in_use", "The lease id was used for something else"


class AlreadyTold(ServiceError):
    """The trial was told before, with another outcome."""

    status, code, title = 409, "already_told", "The trial was told before, with another outcome"


class ConfigExists(ServiceError):
    """The study has a trial with this config."""

    status, code, title = 409, "config_exists", "The study has a trial with this config"


class StudyEnded(ServiceError):
    """The study has ended."""

    status, code, title = 410, "study_ended", "The study has ended"


class RevisionConflict(ServiceError):
    """Somebody changed it since."""

    status, code, title = 412, "revision_conflict", "Somebody changed it since"


class BodyTooLarge(ServiceError):
    """The body is too large."""

    status, code, title = 413, "body_too_large", "The body is too large"


class UnsupportedMediaType(ServiceError):
    """The body must be application/json."""

    status, code, title = 415, "unsupported_media_type", "The body must be application/json"


class InvalidRequest(ServiceError):
    """A field is wrong."""

    status, code, title = 422, "invalid_request", "A field is wrong"

    @classmethod
    def at(cls, field: str, message: str) -> "InvalidRequest":
        """One field of the body is wrong, by its path: "budget.target"."""
        problem = {"in": "body", "field": field, "message": message}
        return cls(f"{field}: {message}", errors=[problem])


class UnsupportedStudy(ServiceError):
    """The searcher cannot serve this study."""

    status, code, title = 422, "unsupported_study", "The searcher cannot serve this study"


class IdempotencyMismatch(ServiceError):
    """The idempotency key was used for another request."""

    status, code, title = (
        422,
        "idempotency_mismatch",
        "The idempotency key was used for another request",
    )


class LimitExceeded(ServiceError):
    """A limit is exceeded."""

    status, code, title = 422, "limit_exceeded", "A limit is exceeded"


class PreconditionRequired(ServiceError):
    """If-Match is needed."""

    status, code, title = 428, "precondition_required", "If-Match is needed"


class TooManyRequests(ServiceError):
    """Too many requests."""

    status, code, title = 429, "too_many_requests", "Too many requests"


class InternalError(ServiceError):
    """Something went wrong on our side."""

    status, code, title = 500, "internal_error", "Something went wrong on our side"


class Unavailable(ServiceError):
    """The service cannot answer now."""

    status, code, title = 503, "unavailable", "The service cannot answer now"
