"""What commands that send have in common: the line of progress, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from reactionwatch.console import print_json, say

if TYPE_CHECKING:
    from generator.send import SendSummary

__all__ = ["close", "sent"]


def sent(summary: SendSummary) -> str:
    """How far it is."""
    rate = summary.sent / summary.seconds if summary.seconds > 0 else 0.0
    refused = f", {summary.refused:,} refused as too large" if summary.refused else ""
    return f"sent {summary.sent:,} reports{refused} in {summary.seconds:.0f} s ({rate:,.0f}/s)"


def close(summary: SendSummary, json_output: bool) -> None:
    """Print the summary for programs; exit 1 where the hub would not take a report."""
    if json_output:
        print_json(vars(summary))
    if summary.refused:
        say(f"{summary.refused:,} reports were larger than the hub accepts and were not sent.")
        raise typer.Exit(1)
