"""What an error of the database means to the caller."""

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from service import errors

RETRY_AFTER = {"Retry-After": "1"}


def explain(error: psycopg.Error | SQLAlchemyError) -> errors.ServiceError:
    """The error as the caller should see it: their data, a conflict, our database, or our bug."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, PoolExhausted):
        return errors.Unavailable("the database is busy", headers=RETRY_AFTER)
    if not isinstance(cause, psycopg.Error):
        return errors.InternalError()
    return _by_state(cause)


def _by_state(error: psycopg.Error) -> errors.ServiceError:
    state = error.sqlstate or ""
    if state.startswith("22") or (not state and isinstance(error, psycopg.DataError)):
        return errors.InvalidRequest("a value cannot be stored")
    if state.startswith("23"):
        return errors.WrongState("this conflicts with what is stored")
    if not state or state.startswith(("08", "25", "40", "53", "55", "57")):
        return errors.Unavailable("the database cannot be reached or is busy", headers=RETRY_AFTER)
    return errors.InternalError()
