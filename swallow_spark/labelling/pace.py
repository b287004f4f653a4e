"""Rates and budgets of requests, shared by all threads of a run."""

import threading
import time

from swallow_spark.config.label import Label


class BudgetSpentError(Exception):
    """No further request fits the run's budget."""


class Pace:
    """Spaces the requests of one run evenly by its rates, until its budgets are spent.

    A request's tokens are known only with its answer. Until then an estimate is reserved, so a budget holds as long as
    no request takes more than its estimate.
    """

    def __init__(self, section: Label) -> None:
        self._seconds_per_request = 60 / section.requests_per_minute if section.requests_per_minute else 0.0
        self._seconds_per_token = 60 / section.tokens_per_minute if section.tokens_per_minute else 0.0
        self._max_requests, self._max_tokens = section.max_requests, section.max_tokens
        self._lock = threading.Lock()
        self._next = time.monotonic()
        self.requests = 0
        self.tokens = 0  # used or reserved
        self.stopped = threading.Event()

    def start(self, tokens: int) -> None:
        """Waits until a request of up to `tokens` may be sent. Raises BudgetSpentError."""
        with self._lock:
            if self._max_requests is not None and self.requests >= self._max_requests:
                raise BudgetSpentError("max_requests")
            if self._max_tokens is not None and self.tokens + tokens > self._max_tokens:
                raise BudgetSpentError("max_tokens")
            self.requests += 1
            self.tokens += tokens
            at = max(self._next, time.monotonic())
            self._next = at + max(self._seconds_per_request, tokens * self._seconds_per_token)
        self.sleep(at - time.monotonic())

    def settle(self, reserved: int, used: int) -> None:
        """Replaces a request's estimate with its actual use."""
        with self._lock:
            self.tokens += used - reserved
            self._next -= max(0, reserved - used) * self._seconds_per_token

    def pause(self, seconds: float) -> None:
        """Holds back the requests of all threads, as the server asked."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Waits, at most until the run is stopped."""
        if seconds > 0:
            self.stopped.wait(seconds)
