import json
import subprocess
import sys


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_a_line_is_one_json_event_with_its_fields() -> None:
    code = (
        "import structlog\nfrom syncd import logs\nlogs.configure()\nstructlog.get_logger().info('a.b', doi='10.1/ü')"
    )

    (line,) = run(code)

    event = json.loads(line)
    assert (event["event"], event["doi"], event["level"]) == ("a.b", "10.1/ü", "info")


def test_secrets_are_hidden_by_name_and_inside_addresses() -> None:
    code = (
        "import structlog, logging\nfrom syncd import logs\nlogs.configure()\n"
        "structlog.get_logger().info('x', password='hush', Authorization='Basic hush',"
        " url='postgresql://user:hush@host/db')\n"
        "logging.getLogger('other').warning('cannot reach mysql://u:hush@h/d')"
    )

    lines = run(code)

    assert len(lines) == 2
    assert "hush" not in "".join(lines)
    assert "postgresql://user:[hidden]@host/db" in lines[0]


def test_exceptions_are_part_of_the_line() -> None:
    code = (
        "import structlog\nfrom syncd import logs\nlogs.configure('info', 'json')\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    structlog.get_logger().exception('x.crashed')"
    )

    (line,) = run(code)

    assert "ZeroDivisionError" in json.loads(line)["exception"]


def test_the_libraries_keep_quiet_below_warning() -> None:
    code = "import logging\nfrom syncd import logs\nlogs.configure('debug')\nlogging.getLogger('httpx').info('a URL')"

    assert run(code) == []
