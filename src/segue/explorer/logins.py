"""Logins: passwords are compared in constant time, failures are logged, and many of them have to wait."""

import hmac
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar

from starlette.exceptions import HTTPException

asking: ContextVar[str] = ContextVar("asking", default="")
"""The address that the current request comes from."""
WINDOW_SECONDS = 300.0  # seconds
PER_ADDRESS, IN_ALL = 5, 60  # failed logins in the window, after which further ones have to wait
RULE = f"After {PER_ADDRESS} failed logins you have to wait for {WINDOW_SECONDS / 60:g} minutes."

log = logging.getLogger("segue.explorer.logins")


class Logins:
    """Checks a name and a password, for gradio. Each failure is a line of the log, with the address it came from."""

    def __init__(self, users: Sequence[tuple[str, str]], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.users, self.clock = list(users), clock
        self.failed: deque[tuple[float, str]] = deque()

    def __call__(self, name: str, password: str) -> bool:
        """Whether a user has this name and password.

        Raises:
            HTTPException: too many have failed, from this address or in all.
        """
        address, now = asking.get(), self.clock()
        while self.failed and self.failed[0][0] < now - WINDOW_SECONDS:
            self.failed.popleft()
        here = [when for when, one in self.failed if one == address]
        if len(self.failed) >= IN_ALL or len(here) >= PER_ADDRESS:
            oldest = here[0] if len(here) >= PER_ADDRESS else self.failed[0][0]
            wait = str(int(oldest + WINDOW_SECONDS - now) + 1)
            raise HTTPException(429, f"too many failed logins; wait {wait} s", {"Retry-After": wait})
        # All are compared, so that the time tells nothing.
        matching = [equal_texts(name, user) & equal_texts(password, secret) for user, secret in self.users]
        if any(matching):
            return True
        self.failed.append((now, address))
        log.warning("login failed: user %.64r from %s", name, address or "an unknown address")
        return False


def equal_texts(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(one.encode(), other.encode())
