"""Run the cases against a real server: ``python -m tests.conformance URL ACCOUNT PREFIX``.

The password comes from SYNCD_TEST_PASSWORD. Meant for a DataCite test account: every run makes DOIs under the
prefix, with names of its own, and the findable ones stay. Only cases that need no second account, no empty
world and no control interface are run.
"""

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

from tests.conformance.runner import Runner, cases

_EVENTS = {"registered": "register", "findable": "publish"}
_PAUSE_SECONDS = float(os.environ.get("SYNCD_TEST_PAUSE", "0.5"))  # far below the test system's limit


class RealRunner(Runner):
    """Makes the given DOIs through the API, as their client would."""

    def __init__(self, base_url: str, account: str, password: str) -> None:
        super().__init__(base_url)
        self._world["accounts"]["owner"]["id"] = account
        self._password = password

    def password(self, account: str) -> str:  # noqa: ARG002
        return self._password

    def prepare(self, case: dict[str, Any]) -> None:
        for given in case.get("given", []):
            attributes = {"doi": given["doi"], **given["attributes"]}
            if given["state"] in _EVENTS:
                attributes["event"] = _EVENTS[given["state"]]
            headers = {"Content-Type": "application/vnd.api+json", **self._credentials("owner")}
            body = json.dumps({"data": {"type": "dois", "attributes": attributes}}).encode()
            reply = self.send("POST", "/dois", headers, body)
            assert reply.status == 201, reply.body


def portable(account: str, prefix: str, run: str) -> Iterator[dict[str, Any]]:
    """The cases that one account can run, with DOIs of their own."""
    for number, case in enumerate(cases()):
        kinds = {step["request"]["auth"] for step in case["steps"]}
        text = json.dumps(case)
        alone = kinds <= {"owner", "bad", "none"} and case["category"] != "list"
        if not alone or '"stored"' in text or "24425" in text or "33333" in text or '"other"' in text:
            continue
        # A name that the server makes from a prefix cannot carry our mark.
        mark = "" if '"prefix": "10.14454"' in text else f"{run}-{number}-"
        expected = json.dumps(re.escape(f"{prefix}/{mark}"))[1:-1]
        text = text.replace(json.dumps("10\\.14454/")[1:-1], expected)
        text = re.sub(r"10\.14454(/|%2F)(?=[^\"])", rf"{prefix}\g<1>{mark}", text)
        text = text.replace("10.14454", prefix).replace("datacite.owner", account.lower())
        yield json.loads(text.replace("DATACITE.OWNER", account))


def main(base_url: str, account: str, prefix: str, password: str) -> int:
    """Run them; returns how many failed."""
    runner = RealRunner(base_url, account, password)
    failed = ran = 0
    for case in portable(account, prefix, f"conformance-{int(time.time())}"):
        ran += 1
        try:
            runner.run(case)
        except AssertionError as difference:
            failed += 1
            sys.stdout.write(f"FAILED {case['name']}: {str(difference)[:300]}\n")
        time.sleep(_PAUSE_SECONDS)
    sys.stdout.write(f"{ran - failed} passed, {failed} failed\n")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:4], os.environ["SYNCD_TEST_PASSWORD"]) else 0)
