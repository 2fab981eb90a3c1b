"""Whether any study wants the fleet, so that Ray is started only for those who use it."""

import time

import psycopg

EVERY = 0.5  # seconds between two looks
QUERY = """
select exists (select 1 from study
               where state = 'active' and deleted_at is null and jsonb_typeof(managed) = 'object')
"""


class ManagedStudies:
    """One connection, one question."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: psycopg.Connection | None = None
        self._next = 0.0

    def any(self) -> bool:
        """Whether an active managed study was there at the last look."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + EVERY
        try:
            return self._ask()
        except psycopg.Error:  # it is being started again; that is somebody else's worry
            self.close()
            return False

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _ask(self) -> bool:
        if self._connection is None:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=2)
        row = self._connection.execute(QUERY).fetchone()
        if row is not None and row[0]:
            self.close()  # the fleet, once started, stays
            return True
        return False
