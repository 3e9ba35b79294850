"""What lies between the real client and the sandbox: delays, losses, garbage, and a record of what arrived."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

import httpx

from syncd.datacite.client import Client
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
    departures: int = 0

    def arrive(self, request: Request, departed: float, process: str, fate: str = "") -> Arrival:
        """DataCite, or what stands in front of it, gets a request now."""
        response = self._answer(request, fate)
        document = _json(response.body)
        data = document.get("data") if isinstance(document, dict) else None
        state = data["attributes"]["state"] if isinstance(data, dict) else None
        doi = request.path.removeprefix("/dois/")
        arrival = Arrival(self.time.now, departed, process, request.method, doi, request.body, response.status, state)
        self.arrivals.append(arrival)
        self._responses[id(arrival)] = response
        return arrival

    _responses: dict[int, Response] = field(default_factory=dict)

    def response(self, arrival: Arrival) -> Response:
        return self._responses.pop(id(arrival))

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


class Wire(httpx.BaseTransport):
    """One process's connections."""

    def __init__(self, network: Network, process: Any) -> None:
        self._network = network
        self._process = process
        self.client: Client | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        network, chance = self._network, self._network.chance
        weather = network.weather
        self._process.give_way()
        assert self.client is not None
        self.client.deadline.depart()
        departed = network.time.now
        network.departures += 1
        if weather.outage or chance.random() < weather.refused_connection:
            self._process.give_way(0.01)
            raise httpx.ConnectError("connection refused by the simulation", request=request)
        if chance.random() < weather.lost_request:
            self._process.give_way(chance.uniform(0.1, TIMEOUT))
            raise httpx.ReadTimeout("lost on the way there", request=request)
        return self._carried(request, departed)

    def _carried(self, request: httpx.Request, departed: float) -> httpx.Response:
        network, chance, weather = self._network, self._network.chance, self._network.weather
        target = request.url.raw_path.decode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        sent = Request(request.method, target, headers, request.content)
        if chance.random() < weather.late:
            # It reaches DataCite after the client gave up, but within the grace time.
            after = TIMEOUT + chance.uniform(1.0, 50.0)
            network.time.at(departed + after, lambda: network.arrive(sent, departed, self._process.name))
            self._process.give_way(TIMEOUT)
            raise httpx.ReadTimeout("late", request=request)
        there = chance.uniform(0.01, 10.0) if chance.random() < weather.slow else chance.uniform(0.01, 0.5)
        fate = "refused" if chance.random() < weather.refusal else ""
        fate = "throttled" if chance.random() < weather.throttled else fate
        held: list[Arrival] = []
        network.time.at(
            departed + there,
            lambda: held.append(network.arrive(sent, departed, self._process.name, fate)),
        )
        self._process.give_way(there + chance.uniform(0.01, 0.5))
        return self._told(request, held[0])

    def _told(self, request: httpx.Request, arrival: Arrival) -> httpx.Response:
        """What the client hears of it."""
        network, chance, weather = self._network, self._network.chance, self._network.weather
        response = network.response(arrival)
        if chance.random() < weather.lost_answer:
            raise httpx.ReadError("connection reset by the simulation", request=request)
        if chance.random() < weather.error_after_commit:
            return httpx.Response(502, content=b"<html>bad gateway</html>", headers={"content-type": "text/html"})
        if chance.random() < weather.server_error:
            return httpx.Response(503, content=b"<html>unavailable</html>")
        if chance.random() < weather.garbage:
            return httpx.Response(200, content=response.body[: len(response.body) // 2])
        arrival.told = True
        return httpx.Response(response.status, content=response.body, headers=response.headers)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
