"""All tables in one place, for those who need the whole schema."""

from service.db.insight import insight
from service.db.measurement import decision, metric, standing
from service.db.metadata import metadata
from service.db.preference import preference
from service.db.project import api_key, idempotency, project
from service.db.record import agent, checkpoint, event, liveness
from service.db.study import metric_name, study, study_counter, study_earlier, study_spec
from service.db.suggestion import batch, demand, suggestion
from service.db.trial import attempt, lease, trial

__all__ = [
    "agent",
    "api_key",
    "attempt",
    "batch",
    "checkpoint",
    "decision",
    "demand",
    "event",
    "idempotency",
    "insight",
    "lease",
    "liveness",
    "metadata",
    "metric",
    "metric_name",
    "preference",
    "project",
    "standing",
    "study",
    "study_counter",
    "study_earlier",
    "study_spec",
    "suggestion",
    "trial",
]
