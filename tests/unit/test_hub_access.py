from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from azure.eventhub._pyamqp.utils import generate_sas_token
from hub_wire import NOW_S, PARTITION, RECEIVER, Client, serving, token
from hypothesis import given
from hypothesis import strategies as st

from eventhubs.amqp import Attach, Detach, Disposition
from eventhubs.hub.access import LOCAL_KEY, AccessKey, Keys, Right, TokenError
from eventhubs.hub.errors import HubError, HubNameError
from eventhubs.hub.service import Service

REPORTS = ("reports",)
KEYS = (
    LOCAL_KEY,
    AccessKey("reader", "r", Right.LISTEN),
    AccessKey("writer", "w", Right.SEND),
    AccessKey("manager", "m", Right.MANAGE),
)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path, keys=KEYS, groups=("analysts",)) as service:
        yield service


@pytest.fixture
def stranger(service: Service) -> Client:
    return Client(service, authorised=False).connect()


def signed(quoted: str, key: str = "local", name: str = "local", ends_at: str = "1700000060") -> str:
    """A token over a resource in whatever spelling."""
    digest = hmac.new(key.encode(), f"{quoted}\n{ends_at}".encode(), hashlib.sha256).digest()
    return f"SharedAccessSignature sr={quoted}&sig={quote(base64.b64encode(digest), safe='')}&se={ends_at}&skn={name}"


# Tokens.


def test_a_token_of_the_official_sdk_is_taken_until_its_end() -> None:
    text = generate_sas_token("sb://localhost:5672/Reports", "local", "local", int(NOW_S) + 60)

    grant = Keys(KEYS).check(text, REPORTS, NOW_S)
    assert (grant.path, grant.rights, grant.ends_at) == (REPORTS, Right.ALL, NOW_S + 60)
    with pytest.raises(TokenError, match="ExpiredToken"):
        Keys(KEYS).check(text, REPORTS, NOW_S + 60)


@pytest.mark.parametrize(
    "spelling",
    [
        quote_plus("sb://h/reports"),
        quote("sb://h/reports", safe="").lower(),
        "sb%3a%2f%2Fh%2freports",
        "sb://h/reports",
        "http%3A%2F%2Fanother.host%3A443%2Freports",
    ],
)
def test_what_was_signed_is_checked_as_it_was_spelt(spelling: str) -> None:
    assert Keys(KEYS).check(signed(spelling), REPORTS, NOW_S).path == REPORTS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (token(key="wrong"), "InvalidSignature"),
        (token(name="nobody"), "InvalidSignature"),
        (token(name="reader"), "InvalidSignature"),
        (token().replace("reports", "other"), "InvalidSignature"),
        (token().replace(str(int(NOW_S) + 60), str(int(NOW_S) + 61)), "InvalidSignature"),
        (token().replace("sig=", "sig=%00"), "InvalidSignature"),
        (token(lasting=0), "ExpiredToken"),
        (token("sb://h/other"), "InvalidAudience"),
        (token("sb://h/reports/Partitions/0"), "InvalidAudience"),
        (token("sb://h/report"), "InvalidAudience"),
        (signed("reports"), "InvalidAudience"),
        (token().replace("&skn=local", ""), "MalformedToken"),
        (token().replace("se=", "se=x"), "MalformedToken"),
        ("SharedAccessSignature ", "MalformedToken"),
    ],
)
def test_a_token_that_does_not_check_is_refused_with_the_services_word(text: str, problem: str) -> None:
    with pytest.raises(TokenError, match=problem):
        Keys(KEYS).check_signature(text, REPORTS, NOW_S)


@given(st.text(max_size=80))
def test_any_text_that_is_no_token_is_refused(text: str) -> None:
    for whole in (text, f"SharedAccessSignature {text}"):
        with pytest.raises(TokenError):
            Keys(KEYS).check_signature(whole, REPORTS, NOW_S)


def test_keys_need_names_secrets_and_a_right_and_hide_the_secret() -> None:
    for name in ("", "a b", "a&b"):
        with pytest.raises(HubNameError):
            AccessKey(name, "secret")
    for key, rights in (("", Right.ALL), ("secret", Right(0))):
        with pytest.raises(HubError):
            AccessKey("name", key, rights)
    with pytest.raises(HubNameError, match="twice"):
        Keys([AccessKey("a", "1"), AccessKey("a", "2")])
    with pytest.raises(HubError):
        Keys([])
    assert "secret" not in repr(AccessKey("name", "secret"))


# Tokens on a connection.


@pytest.mark.parametrize(
    ("text", "changes", "status"),
    [
        (token(), {}, 202),
        (token("sb://h"), {}, 202),
        (token("sb://h"), {"name": "sb://h/reports/ConsumerGroups/analysts"}, 202),
        ("a.b.c", {"type": "jwt"}, 202),
        ("", {}, 401),
        (5, {}, 401),
        ("a.b.c", {}, 401),
        (token(key="wrong"), {}, 401),
        (token(lasting=-1), {}, 401),
        (token("sb://h"), {"name": "sb://h/nowhere"}, 404),
        (token(), {"type": "basic"}, 400),
        (token(), {"name": 5}, 400),
        (token(), {"name": "reports"}, 400),
        (token(), {"operation": "delete-token"}, 400),
    ],
)
def test_cbs_answers_with_the_services_status(
    stranger: Client, text: Any, changes: dict[str, Any], status: int
) -> None:
    assert stranger.put_token(text, **changes)["status-code"] == status


def test_the_status_never_repeats_a_secret(stranger: Client) -> None:
    answer = stranger.put_token(token(key="wrong"))
    assert answer["status-description"] == "InvalidSignature: The token has an invalid signature."


def test_without_a_token_for_the_hub_links_are_refused(stranger: Client) -> None:
    stranger.put_token(token("sb://h/other"), "sb://h/other")
    stranger.sender(1)
    stranger.receiver(2)

    errors = [detach.error for detach in stranger.all(Detach) if detach.error]
    assert [error.condition for error in errors] == ["amqp:unauthorized-access"] * 2
    assert "'Send' claim" in str(errors[0].description)
    assert "'Listen' claim" in str(errors[1].description)
    assert "/reports/consumergroups/$default/partitions/1'" in str(errors[1].description)


@pytest.mark.parametrize(
    ("name", "opens_sender", "opens_receiver"),
    [
        ("sb://h", True, True),
        ("sb://h/reports", True, True),
        ("sb://h/Reports/Partitions/1", True, False),
        ("sb://h/reports/Partitions/0", False, False),
        ("sb://h/reports/consumergroups/$default", False, True),
        ("sb://h/reports/consumergroups/analysts", False, False),
    ],
)
def test_a_token_is_for_what_it_was_put_for_and_all_below(
    stranger: Client, name: str, opens_sender: bool, opens_receiver: bool
) -> None:
    assert stranger.put_token(token("sb://h"), name)["status-code"] == 202
    stranger.sender(1)
    sender = stranger.last(Attach)
    stranger.receiver(2)
    receiver = stranger.last(Attach)

    assert (sender.target is not None, receiver.source is not None) == (opens_sender, opens_receiver)


@pytest.mark.parametrize(
    ("key", "opens_sender", "opens_receiver"),
    [("reader", False, True), ("writer", True, False), ("manager", True, True)],
)
def test_a_key_gives_its_rights_and_no_others(
    stranger: Client, key: str, opens_sender: bool, opens_receiver: bool
) -> None:
    secret = token(name=key, key=key[0])
    assert stranger.put_token(secret)["status-code"] == 202
    stranger.sender(1, PARTITION)
    sender = stranger.last(Attach)
    stranger.receiver(2, RECEIVER)
    receiver = stranger.last(Attach)

    assert (sender.target is not None, receiver.source is not None) == (opens_sender, opens_receiver)
    assert stranger.manage(security_token=secret).application_properties["status-code"] == 200


@pytest.mark.parametrize("text", [None, "", 5, token(key="wrong"), token(lasting=0), token("sb://h/other")])
def test_a_question_without_a_sound_token_in_it_is_refused(service: Service, text: Any) -> None:
    client = Client(service).connect()
    assert client.manage(security_token=text).application_properties["status-code"] == 401
    assert client.manage().application_properties["status-code"] == 200


def test_a_question_without_a_token_on_the_connection_is_refused(stranger: Client) -> None:
    assert stranger.manage().application_properties["status-code"] == 401


def test_links_end_with_their_token(service: Service) -> None:
    client = Client(service).connect()
    client.sender(1)
    client.receiver(2)
    client.wall.now += 59
    client.server.tick()
    assert client.all(Detach)[-1].error is None

    client.wall.now += 1
    client.server.tick()
    client.woken_up()
    errors = [(detach.handle, detach.error) for detach in client.all(Detach) if detach.error]
    assert [handle for handle, _ in errors] == [1, 2]
    assert {error.condition for _, error in errors if error} == {"amqp:link:detach-forced"}
    assert "Code: RenewToken. Details: Unauthorized access. 'Send' claim" in str(errors[0][1])
    client.sender(3)
    assert client.last(Attach).target is None


def test_a_token_put_in_time_keeps_links_open(service: Service) -> None:
    client = Client(service).connect()
    client.sender(1)
    for _ in range(5):
        client.wall.now += 50
        client.renew(lasting=60)
        client.server.tick()

    client.publish(b"still here")
    assert client.last(Disposition).state.descriptor == 0x24
    assert [detach for detach in client.all(Detach) if detach.error] == []
