"""Who asks, and what the answer says of it."""

import base64
import binascii
from dataclasses import dataclass

from syncd.sandbox.http import Response, error
from syncd.sandbox.world import Account, World

NOT_FOUND = "The resource you are looking for doesn't exist."
_UNAUTHORIZED = "Bad credentials."
_FORBIDDEN = "You are not authorized to access this resource."
_SHORTEST_KEY = 21


class Refusal(Exception):
    """An answer that ends the request."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: an account, nobody (``rejected``: with credentials that were not accepted)."""

    account: Account | None = None
    rejected: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """What successful answers, and those with validation errors, say of who asked (datacite-api 1.4)."""
        if self.account:
            return {"X-Credential-Username": self.account.key}
        return {} if self.rejected else {"X-Anonymous-Consumer": "true"}


def identify(world: World, authorization: str | None) -> Identity:
    """Who sends this header; a wrong Basic password makes nobody, and no error.

    Raises:
        Refusal: 401 for an unknown scheme or a wrong bearer.
    """
    if not authorization:
        return Identity()
    scheme, _, value = authorization.strip().partition(" ")
    if not value:
        return Identity()  # a scheme without credentials counts as none
    if scheme.lower() == "bearer":
        account = world.tokens.get(value) or _of_key(world, value)
        if account is not None:
            return Identity(account)
    if scheme.lower() != "basic":
        raise unauthorized()
    try:
        name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return Identity(rejected=True)
    account = _of_basic(world, name, password)
    return Identity(account, rejected=account is None)


def _of_basic(world: World, name: str, password: str) -> Account | None:
    if len(name) >= _SHORTEST_KEY and name.upper().startswith("DC."):
        return _of_key(world, name)
    for account in world.accounts.values():
        if account.key == name.lower() and password and (password == account.password or password in account.api_keys):
            return account
    return None


def _of_key(world: World, key: str) -> Account | None:
    return next((one for one in world.accounts.values() if key in one.api_keys), None)


def not_found() -> Refusal:
    """404: absent, or hidden from who asks."""
    return Refusal(error(404, NOT_FOUND))


def unauthorized() -> Refusal:
    """401: nobody, or credentials that were not accepted."""
    return Refusal(error(401, _UNAUTHORIZED))


def forbidden() -> Refusal:
    """403: somebody, who may not."""
    return Refusal(error(403, _FORBIDDEN))
