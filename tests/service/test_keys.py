"""API keys: their text, what they allow, how long they live."""

import psycopg
import pytest
from httpx import AsyncClient

from service.auth.bootstrap import InvalidKey, ensure_key
from service.auth.keys import digest, new_key, public_part, verify
from service.settings import Settings


def test_a_key_has_the_promised_form() -> None:
    key = new_key()
    prefix, public, secret, checksum = key.split("_")
    assert (prefix, len(public), len(checksum)) == ("tt", 8, 8)
    assert len(secret) >= 32
    assert public_part(key) == public
    assert new_key() != key


@pytest.mark.parametrize("wrong", ["", "tt_", "Bearer x", "tt_aaaaaaaa_" + "b" * 40 + "_00000000"])
def test_text_that_is_no_key_is_known_without_a_database(wrong: str) -> None:
    assert public_part(wrong) is None


def test_a_digest_is_of_this_key_under_this_pepper() -> None:
    key = new_key()
    stored = digest(key, "pepper")
    assert verify(key, stored, "pepper")
    assert not verify(new_key(), stored, "pepper")
    assert not verify(key, stored, "salt")


async def test_me_says_who_i_am(app_client: AsyncClient) -> None:
    me = (await app_client.get("/v1/me")).json()
    assert (me["project"], me["name"], me["scopes"]) == ("default", "bootstrap", ["admin"])


async def test_a_new_key_works_and_lives_ninety_days(app_client: AsyncClient) -> None:
    made = await app_client.post("/v1/keys", json={"name": "laptop", "scopes": ["run"]})
    assert made.status_code == 201
    body = made.json()
    me = await app_client.get("/v1/me", headers={"Authorization": f"Bearer {body['key']}"})
    assert me.json()["scopes"] == ["run"]
    listed = (await app_client.get("/v1/keys")).json()["items"]
    assert [item["name"] for item in listed] == ["bootstrap", "laptop"]
    assert "key" not in listed[1]
    with psycopg.connect(app_client.app.state.settings.database_url.get_secret_value()) as c:
        row = c.execute(
            "select expires_at - created_at between '89 days' and '91 days', digest from api_key"
            " where public_id = %s",
            (body["id"],),
        ).fetchone()
    assert row is not None
    assert row[0]
    assert body["key"].encode() not in bytes(row[1])


async def test_a_key_gives_no_more_than_it_has(app_client: AsyncClient) -> None:
    made = await app_client.post("/v1/keys", json={"name": "w", "scopes": ["write"]})
    writer = {"Authorization": f"Bearer {made.json()['key']}"}
    for scopes, status in (
        (["read"], 201),
        (["write", "read"], 201),
        (["run"], 403),
        (["admin"], 403),
    ):
        again = await app_client.post(
            "/v1/keys", json={"name": "x", "scopes": scopes}, headers=writer
        )
        assert again.status_code == status, scopes


async def test_a_revoked_key_is_refused(app_client: AsyncClient) -> None:
    made = (await app_client.post("/v1/keys", json={"name": "k", "scopes": ["read"]})).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert (await app_client.get("/v1/me", headers=headers)).status_code == 200
    assert (await app_client.delete(f"/v1/keys/{made['id']}")).status_code == 204
    refused = await app_client.get("/v1/me", headers=headers)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert (await app_client.delete("/v1/keys/nobodys")).status_code == 404


async def test_a_wrong_secret_is_refused_after_the_right_one_was_seen(
    app_client: AsyncClient, settings: Settings
) -> None:
    assert (await app_client.get("/v1/me")).status_code == 200
    right = settings.bootstrap_key.get_secret_value()
    public = public_part(right)
    forged = new_key().split("_")
    import zlib

    body = f"tt_{public}_{forged[2]}"
    wrong = f"{body}_{zlib.crc32(body.encode()):08x}"
    assert public_part(wrong) == public
    answer = await app_client.get("/v1/me", headers={"Authorization": f"Bearer {wrong}"})
    assert answer.status_code == 401


async def test_use_is_noted_at_most_once_a_minute(app_client: AsyncClient) -> None:
    url = app_client.app.state.settings.database_url.get_secret_value()
    keyring = app_client.app.state.resources.keyring
    seen = []
    for _ in range(2):
        await app_client.get("/v1/me")
        keyring._known.clear()
        with psycopg.connect(url) as connection:
            seen.append(connection.execute("select last_used_at from api_key").fetchone())
    assert seen[0] == seen[1] != (None,)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update api_key set last_used_at = now() - interval '2 minutes'")
        await app_client.get("/v1/me")
        assert connection.execute("select last_used_at from api_key").fetchone() > seen[1]


def test_bootstrapping_twice_makes_one_key(settings: Settings) -> None:
    ensure_key(settings)
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        assert connection.execute("select count(*) from api_key").fetchone() == (1,)
        assert connection.execute("select name from project").fetchall() == [("default",)]


def test_a_bootstrap_key_that_is_none_is_named(settings: Settings) -> None:
    wrong = settings.model_copy(update={"bootstrap_key": type(settings.bootstrap_key)("hello")})
    with pytest.raises(InvalidKey, match="TRIMTAB_BOOTSTRAP_KEY"):
        ensure_key(wrong)
