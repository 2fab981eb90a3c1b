"""Trials taken and told over HTTP."""

import uuid
from typing import Any

import httpx


async def take(client: httpx.AsyncClient, study: str, count: int) -> list[dict[str, Any]]:
    """The study's next trials: each with its id and lease."""
    taken = []
    for _ in range(count):
        lease = str(uuid.uuid4())
        ask = {"lease_id": lease, "worker": "w", "wait": 0}
        asked = (await client.post(f"/v1/studies/{study}/trials:ask", json=ask)).json()
        taken.append({"id": asked["trial"]["id"], "lease": lease})
    return taken


async def tell(client: httpx.AsyncClient, trial: dict[str, Any], **outcome: Any) -> httpx.Response:
    """Tell that a trial completed, with these parts of its outcome."""
    body = {"lease_id": trial["lease"], "outcome": {"kind": "completed", **outcome}}
    return await client.post(f"/v1/trials/{trial['id']}:tell", json=body)
