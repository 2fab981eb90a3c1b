"""What can go wrong in a fleet.

WorkersError
├── ProgramRefused    what the study wants to run is not allowed here, or does not exist
├── ChildFailed       a child process could not be started
└── ClusterFailed     Ray could not be started or reached
"""


class WorkersError(Exception):
    """Root of the fleet's errors."""


class ProgramRefused(WorkersError):
    """What the study wants to run is not allowed here, or does not exist."""


class ChildFailed(WorkersError):
    """A child process ended before it could take a trial."""


class ClusterFailed(WorkersError):
    """Ray could not be started or reached."""
