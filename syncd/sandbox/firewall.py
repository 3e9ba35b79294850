"""What stands in front of the API: a sliding window per address, and a limit on the body's size."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from syncd.sandbox.http import Request, Response, json_response

MAX_BODY_BYTES = 10 * 1024 * 1024
_TOO_LARGE = b"<html><head><title>413 Request Entity Too Large</title></head><body>nginx</body></html>"


@dataclass
class Firewall:
    """Counts arrivals; the exact number in any window, not an estimate.

    Attributes:
        limit: How many arrivals a window may see.
        window: Its length in seconds.
        status: How a refusal looks: 429 in production, 403 at the test system.
    """

    limit: int = 3000
    window: float = 300.0
    status: int = 429
    max_in_window: int = 0
    _arrivals: deque[float] = field(default_factory=deque)

    def refusal(self, request: Request, now: float) -> Response | None:
        """Count an arrival; the answer that ends it, or None when it may pass."""
        while self._arrivals and self._arrivals[0] <= now - self.window:
            self._arrivals.popleft()
        self._arrivals.append(now)
        self.max_in_window = max(self.max_in_window, len(self._arrivals))
        if len(self._arrivals) > self.limit:
            title = "Too many requests, please see https://support.datacite.org/docs/rate-limit (rate limit)"
            return json_response(self.status, {"message": title})
        if len(request.body) > MAX_BODY_BYTES:
            return Response(413, _TOO_LARGE, {"Content-Type": "text/html"})
        return None

    def forget(self) -> None:
        """Start counting afresh."""
        self._arrivals.clear()
        self.max_in_window = 0

    def describe(self) -> dict[str, Any]:
        """For the control interface."""
        return {"limit": self.limit, "window": self.window, "max_in_window": self.max_in_window}
