"""Logins: who is let in, what is logged, and who has to wait."""

import logging

import pytest
from starlette.exceptions import HTTPException

from segue.explorer.logins import IN_ALL, PER_ADDRESS, WINDOW_SECONDS, Logins, asking


@pytest.fixture
def time():
    return [0.0]


@pytest.fixture
def logins(time):
    return Logins([("ada", "se:cret"), ("bob", "pässword")], clock=lambda: time[0])


def test_names_and_passwords_belong_together(logins):
    assert logins("ada", "se:cret") and logins("bob", "pässword")
    assert not logins("ada", "pässword") and not logins("eve", "") and not logins("", "")


def test_after_some_failures_an_address_waits_and_others_do_not(logins, time):
    asking.set("10.0.0.7")
    assert not any(logins("ada", str(i)) for i in range(PER_ADDRESS))
    with pytest.raises(HTTPException) as refused:
        logins("ada", "se:cret")
    assert refused.value.status_code == 429 and refused.value.headers["Retry-After"] == str(int(WINDOW_SECONDS) + 1)
    asking.set("10.0.0.8")
    assert logins("ada", "se:cret")
    asking.set("10.0.0.7")
    time[0] = WINDOW_SECONDS + 1
    assert logins("ada", "se:cret")


def test_many_addresses_together_wait_too(logins):
    for i in range(IN_ALL):
        asking.set(f"10.0.1.{i}")
        assert not logins("ada", "guess")
    asking.set("10.0.2.1")
    with pytest.raises(HTTPException):
        logins("ada", "se:cret")


def test_each_failure_is_one_line_of_the_log_without_the_password(logins, caplog):
    asking.set("10.0.0.9")
    with caplog.at_level(logging.WARNING):
        logins("eve\n2026 login of ada", "hidden")
    assert caplog.messages == [r"login failed: user 'eve\n2026 login of ada' from 10.0.0.9"]
