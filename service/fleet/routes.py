"""The fleet: what its controller says of it every few seconds, and what of that is known."""

from fastapi import APIRouter
from psycopg.types.json import Jsonb

from service.auth.deps import Reader, Runner
from service.db.rows import fetch_all
from service.http.json import StrictRoute
from service.resources import Needs
from service.schemas.others import AgentItem, Fleet, FleetBeat, RecipeItem, Recipes

router = APIRouter(route_class=StrictRoute, tags=["fleet"])

# One statement, whatever the number of agents; the fleet itself is the row in state `fleet`.
# Names are locked in one order, so that two controllers cannot wait for each other.
BEAT = """
insert into agent (project_id, name, study_id, state, resources, recipes, seen_at)
select %(project)s, u.name, s.id, u.state, u.resources, u.recipes, clock_timestamp()
  from unnest(%(names)s::text[], %(studies)s::text[], %(states)s::text[], %(resources)s::jsonb[],
              %(recipes)s::jsonb[]) as u(name, study, state, resources, recipes)
  left join study s on s.public_id = u.study and s.project_id = %(project)s
 order by u.name
on conflict (project_id, name) do update
   set study_id = excluded.study_id, state = excluded.state, resources = excluded.resources,
       recipes = excluded.recipes, seen_at = excluded.seen_at
"""
# Agents that have not been heard of for a day are gone for good.
FORGET = """
delete from agent
 where project_id = %(project)s and seen_at < clock_timestamp() - interval '1 day'
"""
SEEN = """
select a.name, s.public_id as study, a.state, a.resources, a.recipes, a.seen_at
  from agent a left join study s on s.id = a.study_id and s.deleted_at is null
 where a.project_id = %(project)s and a.seen_at > clock_timestamp() - interval '1 minute'
 order by a.name
"""


@router.post("/fleet:heartbeat", status_code=204)
async def heartbeat(body: FleetBeat, needs: Needs, caller: Runner) -> None:
    """Say that the fleet is up, what it holds and what it can run."""
    agents = {agent.name: agent for agent in body.agents if agent.name != body.fleet}
    held = [body.resources, *(agent.resources for agent in agents.values())]
    recipes = Jsonb([recipe.model_dump() for recipe in body.recipes])
    values = {
        "project": caller.project_id,
        "names": [body.fleet, *agents],
        "studies": [None, *(agent.study for agent in agents.values())],
        "states": ["fleet", *(agent.state for agent in agents.values())],
        "resources": [Jsonb(amounts) for amounts in held],
        "recipes": [recipes, *(None for _ in agents)],
    }
    async with needs.cold() as connection:
        await connection.execute(BEAT, values)
        await connection.execute(FORGET, values)


@router.get("/fleet")
async def fleet(needs: Needs, caller: Reader) -> Fleet:
    """The agents heard of in the last minute."""
    async with needs.cold() as connection:
        rows = await fetch_all(connection, SEEN, {"project": caller.project_id})
    names = ("name", "study", "state", "resources", "seen_at")
    items = [AgentItem(**{n: row[n] for n in names}) for row in rows if row["state"] != "fleet"]
    total: dict[str, float] = {}
    for row in rows:
        if row["state"] == "fleet":
            for kind, amount in row["resources"].items():
                total[kind] = total.get(kind, 0.0) + amount
    return Fleet(items=items, resources=total)


@router.get("/recipes")
async def recipes(needs: Needs, caller: Reader) -> Recipes:
    """The built-in programs that the fleets heard of in the last minute can run."""
    async with needs.cold() as connection:
        rows = await fetch_all(connection, SEEN, {"project": caller.project_id})
    known = {recipe["name"]: recipe for row in rows for recipe in row["recipes"] or ()}
    return Recipes(items=[RecipeItem(**known[name]) for name in sorted(known)])
