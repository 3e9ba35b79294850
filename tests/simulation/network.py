"""What lies between the real client and the sandbox: delays, losses, garbage, and a record of what arrived."""

import base64
import json
import random
from dataclasses import dataclass, field
from typing import Any

import httpx

from syncd.datacite.answer import Answer, NoAnswer
from syncd.datacite.client import Client
from syncd.datacite.request import Put, Write, path
from syncd.sandbox.http import Request, Response
from syncd.sandbox.server import Sandbox
from tests.simulation.time import Time

TIMEOUT = 30.0


@dataclass
class Arrival:
    """One request as DataCite saw it.

    Attributes:
        departed: When the client began to send it.
        told: Whether its answer reached the client whole and as DataCite gave it.
    """

    at: float
    departed: float
    process: str
    method: str
    doi: str
    body: bytes
    status: int
    state: str | None
    told: bool = False

    @property
    def attributes(self) -> dict[str, Any]:
        return dict(json.loads(self.body)["data"]["attributes"]) if self.body else {}


@dataclass
class Weather:
    """How likely each trouble is for one request, from 0 to 1, and what is the matter with everybody."""

    lost_request: float = 0.0
    lost_answer: float = 0.0
    late: float = 0.0
    refused_connection: float = 0.0
    server_error: float = 0.0
    error_after_commit: float = 0.0
    throttled: float = 0.0
    garbage: float = 0.0
    refusal: float = 0.0
    slow: float = 0.0
    handle: float = 0.0
    outage: bool = False


@dataclass
class Network:
    """The one way to DataCite."""

    time: Time
    sandbox: Sandbox
    chance: random.Random
    weather: Weather = field(default_factory=Weather)
    arrivals: list[Arrival] = field(default_factory=list)
    in_outage: list[float] = field(default_factory=list)

    def arrive(self, request: Request, departed: float, process: str, fate: str = "") -> tuple[Arrival, Response]:
        """DataCite, or what stands in front of it, gets a request now."""
        response = self._answer(request, fate)
        document = _json(response.body)
        data = document.get("data") if isinstance(document, dict) else None
        state = data["attributes"].get("state") if isinstance(data, dict) else None
        doi = request.path.removeprefix("/dois/")
        arrival = Arrival(self.time.now, departed, process, request.method, doi, request.body, response.status, state)
        self.arrivals.append(arrival)
        return arrival, response

    def fated(self, _request: Request) -> Response | None:
        """An answer that somebody else gives in DataCite's place; here nobody does."""
        return None

    def _answer(self, request: Request, fate: str) -> Response:
        world = self.sandbox.world
        if fate:
            self.sandbox.firewall.refusal(request, self.time.now, accepted=True)
        if fate == "throttled":
            headers = {"Retry-After": "30", "Content-Type": "application/json"}
            return Response(429, b'{"message": "too many requests"}', headers)
        if fate == "refused":
            # By a rule that nobody knows.
            errors = [{"source": "titles", "title": "refused by the simulation"}]
            return Response(422, json.dumps({"errors": errors}).encode(), {})
        world.handles_answer = self.chance.random() >= self.weather.handle
        try:
            return self.sandbox.respond(request, self.time.now)
        finally:
            world.handles_answer = True


class Lost(Exception):
    """No answer."""

    def __init__(self, words: str, *, sent: bool) -> None:
        super().__init__(words)
        self.sent = sent


class Wire(httpx.BaseTransport):
    """One process's connections, below the HTTP library or in its place."""

    def __init__(self, network: Network, process: Any) -> None:
        self._network = network
        self._process = process
        self.client: Client | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert self.client is not None
        self._process.give_way()
        self.client.deadline.depart()
        headers = {name.lower(): value for name, value in request.headers.items()}
        sent = Request(request.method, request.url.raw_path.decode(), headers, request.content)
        try:
            answer = self.carry(sent)
        except Lost as lost:
            kind = httpx.ReadTimeout if lost.sent else httpx.ConnectError
            raise kind(str(lost), request=request) from None
        return httpx.Response(answer.status, content=answer.body, headers=answer.headers)

    def carry(self, request: Request) -> Response:
        """Take a request to DataCite, and bring what comes back of the answer.

        Raises:
            Lost: Nothing does.
        """
        network, chance, weather = self._network, self._network.chance, self._network.weather
        departed = network.time.now
        fated = network.fated(request)
        if fated is not None:
            self._process.give_way(0.1)
            return fated
        if weather.outage:
            network.in_outage.append(departed)
        if weather.outage or chance.random() < weather.refused_connection:
            self._process.give_way(0.01)
            raise Lost("connection refused by the simulation", sent=False)
        if chance.random() < weather.lost_request:
            self._process.give_way(chance.uniform(0.1, TIMEOUT))
            raise Lost("lost on the way there", sent=True)
        if chance.random() < weather.late:
            # It reaches DataCite after the client gave up, but within the grace time.
            after = TIMEOUT + chance.uniform(1.0, 50.0)
            network.time.at(departed + after, lambda: network.arrive(request, departed, self._process.name))
            self._process.give_way(TIMEOUT)
            raise Lost("late", sent=True)
        return self._told(*self._there_and_back(request, departed))

    def _there_and_back(self, request: Request, departed: float) -> tuple[Arrival, Response]:
        network, chance, weather = self._network, self._network.chance, self._network.weather
        there = chance.uniform(0.01, 10.0) if chance.random() < weather.slow else chance.uniform(0.01, 0.5)
        fate = "refused" if chance.random() < weather.refusal else ""
        fate = "throttled" if chance.random() < weather.throttled else fate
        held: list[tuple[Arrival, Response]] = []
        # Whatever becomes of the process meanwhile, the request arrives.
        network.time.at(
            departed + there, lambda: held.append(network.arrive(request, departed, self._process.name, fate))
        )
        self._process.give_way(there + chance.uniform(0.01, 0.5))
        return held[0]

    def _told(self, arrival: Arrival, response: Response) -> Response:
        """What the client hears of it."""
        chance, weather = self._network.chance, self._network.weather
        if chance.random() < weather.lost_answer:
            raise Lost("connection reset by the simulation", sent=True)
        if chance.random() < weather.error_after_commit:
            return Response(502, b"<html>bad gateway</html>", {"content-type": "text/html"})
        if chance.random() < weather.server_error:
            return Response(503, b"<html>unavailable</html>")
        if chance.random() < weather.garbage:
            return Response(200, response.body[: len(response.body) // 2])
        arrival.told = True
        return response


class Plain:
    """The client without the HTTP library, which takes a tenth of the time; what it sends and hears is the same."""

    def __init__(self, wire: Wire, process: Any, account_id: str, password: str) -> None:
        self._wire = wire
        self._process = process
        credentials = base64.b64encode(f"{account_id}:{password}".encode()).decode()
        self._headers = {"authorization": f"Basic {credentials}", "content-type": "application/vnd.api+json"}

    def write(self, request: Write, leave_by: float | None = None) -> Answer | NoAnswer:
        target = path(request.doi) + ("?affiliation=true&publisher=true" if isinstance(request, Put) else "")
        return self._carry(Request(request.method, target, self._headers, request.body()), leave_by)

    def read(self, target: str, leave_by: float | None = None) -> Answer | NoAnswer:
        return self._carry(Request("GET", target, self._headers, b""), leave_by)

    def _carry(self, request: Request, leave_by: float | None) -> Answer | NoAnswer:
        self._process.give_way()
        if leave_by is not None and self._process.monotonic() > leave_by:
            return NoAnswer("too late to send it", sent=False)
        try:
            answer = self._wire.carry(request)
        except Lost as lost:
            return NoAnswer(str(lost), sent=lost.sent)
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
