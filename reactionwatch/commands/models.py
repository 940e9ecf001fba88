"""`train` and `promote`: the isolation forest in MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reactionwatch.console import print_json, say
from reactionwatch.settings import load_settings

__all__ = ["promote", "train"]


def train(
    file: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="Reports to learn from (JSON lines or array).")
    ] = None,
    generated: Annotated[int | None, typer.Option(min=200, help="Learn from so many mock reports instead.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the forest, and of mock reports.")] = 0,
    challenger: Annotated[bool, typer.Option("--challenger", help="Register without making it the champion.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the version and metrics as JSON.")] = False,
) -> None:
    """Train an isolation forest and register it in MLflow as the champion that scores reports.

    A running stream picks a new champion up at its next batch. Give a FILE, or --generated N.
    """
    from expectations.decode import decode
    from expectations.report import Report
    from expectations.report_file import read_bodies
    from models import registry
    from models.forest import train as train_forest
    from reactionwatch.training import generated_reports
    from reactionwatch.wiring import registry_of

    if (file is None) == (generated is None):
        raise typer.BadParameter("give either a FILE or --generated N")
    settings = load_settings()
    if file is not None:
        say(f"Reading {file.name} ...")
        reports = [r for body in read_bodies(file) if isinstance(r := decode(body), Report)]
        source = file.name
    else:
        assert generated is not None
        say(f"Generating {generated:,} reports ...")
        reports = generated_reports(generated, seed)
        source = f"generated {generated}, seed {seed}"
    say(f"Training on {len(reports):,} reports ...")
    trained = train_forest(reports, seed=seed)
    say("Registering in MLflow ...")
    version = registry.register(
        trained, reports[:100], registry_of(settings), promote=not challenger, training_source=source
    )
    role = "challenger" if challenger else "champion"
    say(f"Registered {version.name} version {version.version} as {role}.")
    if json_output:
        print_json({"name": version.name, "version": version.version, "role": role, "metrics": dict(trained.metrics)})
    else:
        for name, value in sorted(trained.metrics.items()):
            say(f"  {name} = {value:.4g}")


def promote(
    version: Annotated[str, typer.Argument(help="Version number, as MLflow shows it.")],
) -> None:
    """Make a registered model version the champion; a running stream scores by it from the next batch on."""
    from models import registry
    from reactionwatch.wiring import registry_of

    champion = registry.promote(registry_of(load_settings()), version)
    say(f"{champion.name} version {champion.version} is the champion now.")
