"""``syncd version``."""

import platform
from importlib import metadata

import click

from syncd import __version__
from syncd.cli.options import json_option
from syncd.cli.output import emit_json
from syncd.store import schema
from syncd.vocabularies import load


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Versions of syncd and of what it stands on.

    Example: syncd version --json
    """
    facts = {
        "syncd": __version__,
        "python": platform.python_version(),
        "sqlalchemy": metadata.version("sqlalchemy"),
        "httpx": metadata.version("httpx"),
        "tables": schema.head(),
        "datacite_schema": load()["schemaVersion"]["latest"],
    }
    if as_json:
        emit_json(facts)
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):16}{value}")
