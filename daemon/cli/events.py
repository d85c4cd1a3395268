"""`porter events`: what Porter can say."""

from __future__ import annotations

import click

EPILOG = """\b
Examples:
  porter events
  porter events --schema > porter-events.schema.json
"""


@click.command(epilog=EPILOG)
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON Schema of all events.")
def command(as_schema: bool) -> None:
    """List the events that Porter emits, and the data of each."""
    from daemon.events import choices, schema

    described = schema()
    if as_schema:
        import json

        click.echo(json.dumps(described, indent=2, ensure_ascii=False))
        return
    definitions = described["$defs"]
    for event in described["oneOf"]:
        name = event["properties"]["data"]["$ref"].rpartition("/")[2]
        click.echo(f"{event['title']}: {event['description'].splitlines()[0]}")
        for field, facts in definitions[name]["properties"].items():
            allowed = f" One of: {', '.join(choices(facts))}." if choices(facts) else ""
            click.echo(f"    {field:<16}{' '.join(facts['description'].split())}{allowed}")
        click.echo()
