"""What Prometheus may read at /metrics.

Labels are routes, methods, states and reasons: never an id, a name or a value that a caller chose,
so that nobody can make the number of series grow.
"""

from prometheus_client import Counter, Histogram

REQUESTS = Counter("trimtab_requests", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram(
    "trimtab_request_seconds",
    "How long a request took, long polls included",
    ["method", "route"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
)
# by: what brought it there: claimed, told, released, lost (its lease ran out), cancelled.
TRIALS = Counter("trimtab_trial_transitions", "Trials that entered a state", ["state", "by"])
# code: an error code of the API.  lease_lost counts the writes that the fence refused.
PROBLEMS = Counter("trimtab_problems", "Requests answered with a problem", ["code"])
