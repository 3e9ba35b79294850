"""Asks a daemon on this machine how it is, as its container's health check does."""

import ipaddress
from typing import Any

import httpx

_SECONDS = 5.0


def asked(place: tuple[str, int], page: str) -> tuple[bool, dict[str, Any]]:
    """Whether it is well, and its own words.

    Args:
        place: Where it listens; what listens everywhere is asked on loopback.
        page: ``healthz`` or ``readyz``.
    """
    host, port = place
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        loopback = "127.0.0.1" if address.version == 4 else "::1"
        host = loopback if address.is_unspecified else str(address)
    shown = f"[{host}]" if ":" in host else host
    try:
        # Never through a proxy: it is this machine.
        answer = httpx.get(f"http://{shown}:{port}/{page}", timeout=_SECONDS, trust_env=False)
        document: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return False, {"ok": False, "problem": f"no answer from {shown}:{port}: {error}"}
    return answer.status_code == 200, document
