"""What stands in front of the API: sliding windows per address and tier, and a limit on the body's size."""

import re
from collections import defaultdict, deque
from dataclasses import dataclass, field

from syncd.sandbox.http import Request, Response, json_response

MAX_BODY_BYTES = 10 * 1024 * 1024
STYLES = ("429", "403", "html")
"""Production answers 429 in JSON, the test system 403 with the same body; in 2022 it was a 403 in HTML."""

_TOO_LARGE = b"<html><head><title>413 Request Entity Too Large</title></head><body>nginx</body></html>"
_FORBIDDEN = b"<html><head><title>403 Forbidden</title></head><body><center>403 Forbidden</center></body></html>"
_CONTACT = re.compile(r"[^\s@()<>]+@[^\s@()<>]+\.\w+")
_TITLE = "Too many requests, see the rate limit page: https://support.datacite.org/docs/rate-limit"
_SHARES = {"authenticated": 1.0, "identified": 1 / 3, "anonymous": 1 / 6}
"""3,000, 1,000 and 500 in production; scaled together."""


@dataclass
class Firewall:
    """Counts arrivals, refused ones too: the exact number in any window, not an estimate.

    Attributes:
        limit: How many arrivals with valid credentials a window may see, from one address.
        window: Its length in seconds.
        style: How a refusal looks, one of ``STYLES``.
    """

    limit: int = 3000
    window: float = 300.0
    style: str = "429"
    max_in_window: int = 0
    _arrivals: deque[float] = field(default_factory=deque)
    _by_tier: defaultdict[tuple[str, str], deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def refusal(self, request: Request, now: float, *, accepted: bool) -> Response | None:
        """Count an arrival; the answer that ends it, or None when it may pass.

        Args:
            request: What arrived.
            now: When, in seconds of any clock that never goes back.
            accepted: Whether its credentials are valid; rejected ones count as none.
        """
        self.max_in_window = max(self.max_in_window, self._count(self._arrivals, now))
        tier = tier_of(request, accepted=accepted)
        if self._count(self._by_tier[request.address, tier], now) > self.limit_of(tier):
            return self._refused()
        if len(request.body) > MAX_BODY_BYTES:
            return Response(413, _TOO_LARGE, {"Content-Type": "text/html"})
        return None

    def limit_of(self, tier: str) -> int:
        """How many arrivals of a tier a window may see."""
        return max(1, int(self.limit * _SHARES[tier] + 1e-9))

    def in_window(self, now: float) -> int:
        """How many arrived in the window that ends now."""
        _forget_before(self._arrivals, now - self.window)
        return len(self._arrivals)

    def forget(self) -> None:
        """Start counting afresh."""
        self._arrivals.clear()
        self._by_tier.clear()
        self.max_in_window = 0

    def _count(self, arrivals: deque[float], now: float) -> int:
        _forget_before(arrivals, now - self.window)
        arrivals.append(now)
        return len(arrivals)

    def _refused(self) -> Response:
        if self.style == "html":
            return Response(403, _FORBIDDEN, {"Content-Type": "text/html"})
        return json_response(int(self.style), {"message": _TITLE})


def tier_of(request: Request, *, accepted: bool) -> str:
    """Valid credentials; a mail address in the User-Agent or in ``mailto``; or neither."""
    if accepted:
        return "authenticated"
    contact = f"{request.headers.get('user-agent', '')} {request.query.get('mailto', '')}"
    return "identified" if _CONTACT.search(contact) else "anonymous"


def _forget_before(arrivals: deque[float], moment: float) -> None:
    while arrivals and arrivals[0] <= moment:
        arrivals.popleft()
