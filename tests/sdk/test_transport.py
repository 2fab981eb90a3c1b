import httpx
import pytest
from trimtab import errors
from trimtab._address import Address
from trimtab._retry import HOT, LONGEST_RETRY_AFTER, Retry, read_retry_after
from trimtab._transport import Call, Cancelled, Transport

PING = Call("GET", "/v1/studies")


def test_connection_errors_and_5xx_are_tried_again(fake, transport, clock, wire):
    fake.script["/studies"] = [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        wire.problem(500, "internal_error"),
        wire.problem(503, "unavailable"),
    ]
    assert transport.send(PING).status == 200
    assert clock.slept == [0.1, 0.2, 0.4, 0.8, 1.6]


def test_retry_after_is_waited_for(fake, transport, clock, wire):
    busy = wire.problem(429, "too_many_requests")
    busy.headers["Retry-After"] = "7"
    fake.script["/studies"] = [busy]
    transport.send(PING)
    assert clock.slept == [7.0]


def test_an_absurd_retry_after_is_capped():
    assert Retry(patience=None).wait(1, 1e9) == LONGEST_RETRY_AFTER


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), ("-1", 0.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("soon", None), (None, None)],
)
def test_retry_after_is_read(text, seconds):
    assert read_retry_after(text) == seconds


def test_waits_grow_to_a_cap_and_are_shaken():
    waits = [HOT.wait(tries, None) for tries in range(1, 60)]
    for tries, wait in enumerate(waits, 1):
        grown = min(10.0, 0.1 * 2.0 ** (tries - 1))
        assert grown / 2 <= wait <= grown
    assert len(set(waits[10:])) > 10


def test_an_ordinary_call_gives_up_after_its_patience(fake, transport, clock):
    transport.send(PING)
    fake.script["/studies"] = [httpx.ConnectError("refused")] * 100
    began = clock.now()
    with pytest.raises(errors.ConnectionFailed, match="start one with `trimtab up`") as caught:
        transport.send(PING)
    assert str(caught.value).startswith("no server at http://127.0.0.1:8787")
    assert clock.now() - began <= 10.0


def test_a_server_elsewhere_is_not_to_be_started_here(fake, clock):
    far = Transport(
        Address("https://tune.example.org"), transport=fake.transport(), clock=clock, patience=0
    )
    fake.script["/version"] = [httpx.ConnectError("refused")]
    with pytest.raises(errors.ConnectionFailed, match="check TRIMTAB_URL"):
        far.send(PING)


def test_a_slow_server_is_called_slow(fake, transport):
    fake.script["/studies"] = [httpx.ReadTimeout("slow")] * 100
    with pytest.raises(errors.ConnectionFailed, match="did not answer within 30 s"):
        transport.send(PING)


def test_an_outage_is_worth_one_line_in_the_log_and_a_blip_is_not(fake, transport, caplog):
    fake.script["/studies"] = [httpx.ConnectError("refused")] * 5
    transport.send(PING, HOT)
    assert caplog.text == ""
    fake.script["/studies"] = [httpx.ConnectError("refused")] * 50
    transport.send(PING, HOT)
    assert caplog.text.count("no server at http://127.0.0.1:8787") == 1


def test_a_hot_call_outlives_hours_of_outage(fake, transport, clock, wire):
    transport.send(PING)
    outage = [httpx.ConnectError("refused"), wire.problem(502, "unavailable")]
    fake.script["/studies"] = outage * 1000
    began = clock.now()
    assert transport.send(PING, HOT).status == 200
    assert clock.now() - began > 3600


@pytest.mark.parametrize(("status", "code"), [(401, "unauthenticated"), (403, "forbidden")])
def test_a_hot_call_does_not_insist_without_permission(fake, transport, clock, wire, status, code):
    fake.script["/studies"] = [wire.problem(status, code)]
    with pytest.raises(errors.BY_CODE[code]):
        transport.send(PING, HOT)
    assert clock.slept == []


def test_a_page_that_is_no_json_is_tried_again(fake, transport):
    garbage = httpx.Response(200, html="<h1>Welcome to the hotel</h1>")
    fake.script["/studies"] = [garbage, garbage]
    assert transport.send(PING, HOT).status == 200


def test_garbage_for_good_is_an_unexpected_answer(fake, transport):
    fake.script["/studies"] = [lambda _: httpx.Response(200, content=b"\xff\xfe")] * 100
    with pytest.raises(errors.UnexpectedAnswer, match="no JSON"):
        transport.send(PING)


def test_an_error_page_that_is_no_problem_json_is_an_api_error(fake, transport):
    fake.script["/studies"] = [httpx.Response(404, html="nginx")]
    with pytest.raises(errors.ApiError) as caught:
        transport.send(PING)
    assert type(caught.value) is errors.ApiError
    assert caught.value.status == 404


def test_json_of_another_shape_is_an_unexpected_answer(fake, transport):
    from trimtab.models import StudyInfo

    fake.script["/studies"] = [httpx.Response(200, json={"items": []})]
    with pytest.raises(errors.UnexpectedAnswer, match="StudyInfo"):
        transport.send(PING).read(StudyInfo)


def test_a_cancelled_call_ends(fake, transport):
    import threading

    cancel = threading.Event()
    transport.send(PING)

    def refuse(request):
        cancel.set()
        raise httpx.ConnectError("refused")

    fake.script["/studies"] = [refuse] * 3
    with pytest.raises(Cancelled):
        transport.send(PING, HOT, cancel)
    assert len(fake.script["/studies"]) == 2


def test_the_key_is_sent_and_not_shown(fake, transport):
    transport.send(PING)
    assert fake.requests[-1].headers["Authorization"] == "Bearer tt_key"
    assert "tt_key" not in repr(transport.address)


def test_an_idempotency_key_is_the_same_in_every_try(fake, transport):
    transport.send(PING)
    fake.script["/studies"] = [httpx.ReadTimeout("slow")] * 2
    transport.send(Call("POST", "/v1/studies", {}).once())
    transport.send(Call("POST", "/v1/studies", {}).once())
    keys = [r.headers.get("Idempotency-Key") for r in fake.calls("/studies")][1:]
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_the_versions_are_compared_once(fake, transport):
    transport.send(PING)
    transport.send(PING)
    assert len(fake.calls("/version")) == 1


def test_an_sdk_that_is_too_old_says_what_to_do(fake, transport):
    fake.oldest_sdk = "99.1"
    with pytest.raises(errors.VersionMismatch, match=r"at least 99.1: pip install --upgrade"):
        transport.send(PING)
    assert fake.calls("/studies") == []


def test_a_server_that_is_too_old_says_so(fake, transport):
    old = {"server": "0.0.9", "api": "v1", "oldest_sdk": "0.0.1"}
    fake.script["/version"] = [httpx.Response(200, json=old)]
    with pytest.raises(errors.VersionMismatch, match=r"the one at .* is 0.0.9"):
        transport.send(PING)


@pytest.mark.parametrize("body", [{"hello": "world"}, [], 3])
def test_something_else_on_the_port_is_no_trimtab_server(fake, transport, body):
    fake.script["/version"] = [httpx.Response(200, json=body)]
    with pytest.raises(errors.UnexpectedAnswer, match="no Trimtab server"):
        transport.send(PING)


@pytest.mark.parametrize(
    ("one", "other"), [("0.9.0", "0.10.0"), ("0.1", "0.1.1"), ("1.0.0", "1.0.1rc1")]
)
def test_versions_are_compared_as_numbers(one, other):
    from trimtab._version import release

    assert release(one) < release(other)


def test_a_closed_client_is_an_error_of_ours(transport):
    transport.close()
    with pytest.raises(errors.ConnectionFailed, match="the client is closed"):
        transport.send(PING, HOT)
