"""How fast, and how much, a run may ask: rates and budgets that all its threads share."""

import threading
import time


class BudgetSpentError(Exception):
    """No further request fits into the run's budget."""


class Pace:
    """Requests of one run, evenly spaced to its rates, until its budgets are spent.

    A request's tokens are known when its answer is there. Until then an estimate is reserved for it, so that a budget
    is kept as long as no request takes more than its estimate.
    """

    def __init__(
        self,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        max_requests: int | None,
        max_tokens: int | None,
    ) -> None:
        self._seconds_per_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._seconds_per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._max_requests, self._max_tokens = max_requests, max_tokens
        self._lock = threading.Lock()
        self._next = time.monotonic()
        self.requests = 0
        self.tokens = 0  # used or reserved
        self.stopped = threading.Event()

    def start(self, tokens: int) -> None:
        """Waits until a request that may take so many tokens may be sent. Raises BudgetSpentError."""
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
        """Puts what a request really took in the place of its estimate."""
        with self._lock:
            self.tokens += used - reserved
            self._next -= max(0, reserved - used) * self._seconds_per_token

    def pause(self, seconds: float) -> None:
        """No request of any thread starts before that: the server has asked for it."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Waits, but not beyond the end of the run."""
        if seconds > 0:
            self.stopped.wait(seconds)
