"""How fast the sandbox is: ``python -m tests.benchmark_sandbox [DOIS]``. Loopback only, ends by itself."""

import http.client
import json
import multiprocessing
import resource
import subprocess
import sys
import time
from typing import Any

from tests.site import ATTRIBUTES

CONNECTIONS = 8
PUTS_EACH = 500
HEADERS = {"Authorization": "Basic REFUQUNJVEUuREVNTzpkZW1v", "Content-Type": "application/vnd.api+json"}
BODY = {**ATTRIBUTES, "url": "https://example.org/1", "schemaVersion": "http://datacite.org/schema/kernel-4"}


def put_many(port: int, worker: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for number in range(PUTS_EACH):
        attributes = {**BODY, "event": "publish", "titles": [{"title": f"{worker} {number}"}]}
        body = json.dumps({"data": {"attributes": attributes}})
        target = f"/dois/10.5072%2F{worker}-{number % 100}?affiliation=true&publisher=true"
        connection.request("PUT", target, body, HEADERS)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (200, 201), answer.status
    connection.close()


def fill(port: int, dois: int) -> None:
    given = [
        {"doi": f"10.5072/f{number}", "client": "demo", "state": "findable", "attributes": BODY}
        for number in range(dois)
    ]
    account = {"id": "DATACITE.DEMO", "password": "demo", "prefixes": ["10.5072"]}
    world = json.dumps({"accounts": {"demo": account}, "dois": given})
    assert ask(port, "PUT", "/_sandbox/world", world)["dois"] == dois


def ask(port: int, method: str, target: str, body: str | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request(method, target, body, HEADERS)
    document = json.loads(connection.getresponse().read())
    connection.close()
    return document


def main(dois: int) -> None:
    command = [sys.executable, "-m", "syncd", "sandbox", "--port", "0", "--rate-limit", "1000000000/300"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = int(server.stdout.readline().rsplit(":", 1)[1])
    try:
        begin = time.monotonic()
        workers = [multiprocessing.Process(target=put_many, args=(port, number)) for number in range(CONNECTIONS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        seconds = time.monotonic() - begin
        sys.stdout.write(f"{CONNECTIONS * PUTS_EACH / seconds:.0f} PUTs a second over {CONNECTIONS} connections\n")
        fill(port, dois)
        target = "/dois?page[cursor]=1&page[size]=1000&client-id=datacite.demo&disable-facets=true"
        for attempt in ("first", "second"):
            begin = time.monotonic()
            assert len(ask(port, "GET", target)["data"]) == min(1000, dois)
            sys.stdout.write(f"{1000 * (time.monotonic() - begin):.0f} ms for the {attempt} list page of 1,000\n")
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    sys.stdout.write(f"{peak:.0f} MB at the peak with {dois:,} DOIs\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
