"""What can go wrong, as classes.

TrimtabError                    the root of all of these but Released
├── NoServer                    nothing says where the server is, or the credentials cannot be read
├── ConnectionFailed            the server cannot be reached
├── UnexpectedAnswer            an answer that no Trimtab server gives
├── VersionMismatch             this SDK and the server are too far apart
├── InvalidSpec (ValueError)    a space, objective or budget that cannot be meant
├── NothingToRun (TimeoutError) no trial came in the time that was given
├── NotReady (TimeoutError)     an explanation is not worked out yet
├── StudyHalted                 a study that is waited for was paused
├── CheckpointError             a checkpoint cannot be written, found or trusted
├── MissingPackage (ImportError) an optional package is needed
├── Infeasible                  raised by your code: this config is bad
└── ApiError                    the server refused: `code`, `status`, `detail`, `errors`, `reason`
    ├── InvalidJson             400
    ├── Unauthenticated         401  no key, or one that is unknown, revoked or expired
    ├── Forbidden               403  the key lacks the scope
    ├── NotFound                404
    ├── MethodNotAllowed        405
    ├── StudyExists             409  the name is taken
    ├── StudyPaused             409  no trials while it is paused
    ├── WrongState              409  the study or trial is not in a state that allows this
    ├── LeaseLost               409  somebody else runs the trial now, or it has ended
    ├── LeaseInUse              409
    ├── AlreadyTold             409  told before, with another outcome
    ├── ConfigExists            409  the study has a trial with this config
    ├── StudyEnded              410  nothing more to run; `reason` says why
    ├── RevisionConflict        412  somebody changed it in the meantime
    ├── BodyTooLarge            413
    ├── UnsupportedMediaType    415
    ├── InvalidRequest          422  a field is wrong; `errors` names each
    ├── UnsupportedStudy        422  the searcher cannot serve the study
    ├── IdempotencyMismatch     422
    ├── LimitExceeded           422  more points, metrics or checkpoints than a trial may have
    ├── PreconditionRequired    428
    ├── TooManyRequests         429
    ├── InternalError           500
    └── Unavailable             503  try again

Released (BaseException)        the trial was given back because the server asked for it

An error code that this SDK does not know arrives as a plain ApiError.
"""

import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class TrimtabError(Exception):
    """Root of the SDK's errors."""


class NoServer(TrimtabError):
    """Nothing says where the server is."""


class ConnectionFailed(TrimtabError):
    """The server cannot be reached."""


class UnexpectedAnswer(TrimtabError):
    """The answer is none that a Trimtab server gives."""


class VersionMismatch(TrimtabError):
    """This SDK and the server are too far apart to understand each other."""


class InvalidSpec(TrimtabError, ValueError):
    """A space, an objective or a budget that cannot be meant."""


class NothingToRun(TrimtabError, TimeoutError):
    """No trial came in the time that was given; the study goes on."""


class NotReady(TrimtabError, TimeoutError):
    """What was asked for was not worked out in the time that was given."""


class StudyHalted(TrimtabError):
    """The study that was waited for is paused, so that waiting longer would bring nothing."""


class CheckpointError(TrimtabError):
    """A checkpoint cannot be written, is not where it should be, or has other bytes."""


class MissingPackage(TrimtabError, ImportError):
    """An optional package is needed for this."""


class Infeasible(TrimtabError):
    """Raise it in training code when the config itself is bad: no other attempt would do better.

    The trial ends `infeasible` with this reason, and the searcher learns to keep away.
    """

    _latest: ClassVar[threading.local] = threading.local()

    def __init__(self, reason: str = "infeasible") -> None:
        super().__init__(reason)
        self.reason = reason
        # `for trial in study.trials()` cannot see what its body raises; see _aftermath.
        self._latest.made = weakref.ref(self)

    @classmethod
    def latest(cls) -> "Infeasible | None":
        """The youngest one that this thread made and that is still alive."""
        made: weakref.ref[Infeasible] | None = getattr(cls._latest, "made", None)
        return made() if made else None


class Released(BaseException):
    """The server asked for the trial back (the study was paused, the machine is needed).

    The first report after such a request returns a decision whose `stop` is true, and leaving the
    loop body then gives the trial back.  Code that reports on regardless is interrupted by this.
    It is no Exception, as KeyboardInterrupt is none: `except Exception` does not swallow it.
    """


class ApiError(TrimtabError):
    """The server refused a request.

    `code` names the error for programs, `errors` lists the fields that are wrong, `reason` says
    why a study ended, `request_id` finds the request in the server's log.
    """

    code: ClassVar[str] = "unknown"
    hint: ClassVar[str] = ""

    def __init__(
        self,
        detail: str,
        *,
        status: int = 0,
        title: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
        reason: str | None = None,
        request_id: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(_sentence(detail, errors, self.hint if hint is None else hint))
        self.detail = detail
        self.status = status
        self.title = title
        self.errors = tuple(errors)
        self.reason = reason
        self.request_id = request_id


class InvalidJson(ApiError):
    """The body is not valid JSON."""

    code = "invalid_json"


class Unauthenticated(ApiError):
    """No key, or one that is unknown, revoked or expired."""

    code = "unauthenticated"
    hint = "set TRIMTAB_API_KEY, or pass key=... (`trimtab keys create` makes one)"


class Forbidden(ApiError):
    """The key lacks the scope for this."""

    code = "forbidden"
    hint = "use a key with that scope (`trimtab keys create --scope ...`)"


class NotFound(ApiError):
    """There is no such thing in this project."""

    code = "not_found"


class MethodNotAllowed(ApiError):
    """The method is not allowed here."""

    code = "method_not_allowed"


class StudyExists(ApiError):
    """The name is taken by a study."""

    code = "study_exists"
    hint = "choose another name, open it with client.study(name), or pass exist_ok=True"


class StudyPaused(ApiError):
    """The study is paused: it hands out no trials."""

    code = "study_paused"
    hint = "study.resume() goes on"


class WrongState(ApiError):
    """The study or trial is not in a state that allows this."""

    code = "wrong_state"


class LeaseLost(ApiError):
    """Somebody else runs the trial now, or it has ended: nothing that this worker says counts."""

    code = "lease_lost"


class LeaseInUse(ApiError):
    """The lease id was used for something else."""

    code = "lease_in_use"


class AlreadyTold(ApiError):
    """The trial was told before, with another outcome."""

    code = "already_told"


class ConfigExists(ApiError):
    """The study has a trial with this config."""

    code = "config_exists"
    hint = "pass replicate=True to run it again"


class StudyEnded(ApiError):
    """The study is stopped or completed: there is nothing more to run."""

    code = "study_ended"


class RevisionConflict(ApiError):
    """Somebody changed it since it was read."""

    code = "revision_conflict"


class BodyTooLarge(ApiError):
    """The request is larger than the server takes."""

    code = "body_too_large"


class UnsupportedMediaType(ApiError):
    """The body is not JSON."""

    code = "unsupported_media_type"


class InvalidRequest(ApiError):
    """A field is wrong; `errors` names each."""

    code = "invalid_request"


class UnsupportedStudy(ApiError):
    """The searcher cannot serve the study."""

    code = "unsupported_study"
    hint = 'searcher="auto" chooses one that can'


class IdempotencyMismatch(ApiError):
    """The idempotency key was used for another request."""

    code = "idempotency_mismatch"


class LimitExceeded(ApiError):
    """More points, metrics or checkpoints than one trial may have."""

    code = "limit_exceeded"


class PreconditionRequired(ApiError):
    """The change needs the revision that it was made on."""

    code = "precondition_required"


class TooManyRequests(ApiError):
    """Too many requests: slow down."""

    code = "too_many_requests"


class InternalError(ApiError):
    """Something went wrong on the server."""

    code = "internal_error"


class Unavailable(ApiError):
    """The server cannot answer now."""

    code = "unavailable"


BY_CODE: Mapping[str, type[ApiError]] = {error.code: error for error in ApiError.__subclasses__()}


def api_error(status: int, problem: Mapping[str, Any]) -> ApiError:
    """The error that a problem+json body describes; what the body lacks is made up for."""
    kind = BY_CODE.get(str(problem.get("code")), ApiError)
    title = str(problem.get("title") or f"the server answered {status}")
    errors = problem.get("errors")
    return kind(
        str(problem.get("detail") or title),
        status=status,
        title=title,
        errors=[e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else (),
        reason=problem.get("reason"),
        request_id=problem.get("request_id"),
    )


def _sentence(detail: str, errors: Sequence[Mapping[str, Any]], hint: str) -> str:
    lines = [f"{detail}: {hint}" if hint else detail]
    fields = [_field(error) for error in errors]
    return "\n".join(lines + [f"  {field}" for field in fields if field not in detail])


def _field(error: Mapping[str, Any]) -> str:
    where = error.get("field", error.get("loc", ""))
    if isinstance(where, list | tuple):
        where = ".".join(str(part) for part in where)
    message = error.get("message", error.get("msg", error.get("detail", "")))
    return f"{where}: {message}" if where else str(message)
