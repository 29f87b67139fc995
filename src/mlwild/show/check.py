"""The findings of a check on a terminal."""

from __future__ import annotations

from rich.text import Text

from mlwild.checks import CheckReport
from mlwild.show.terminal import terminal


def show_check(report: CheckReport) -> None:
    """Print the findings of a check."""
    console = terminal()
    styles = {"pass": "green", "fail": "bold red", "note": "cyan", "undecided": "yellow"}
    for finding in report.findings:
        line = Text(f"{finding.verdict:<9}  ", style=styles[finding.verdict])
        line.append(f"{finding.check}: {finding.said}", style="default")
        console.print(line)
    failed = sum(finding.verdict == "fail" for finding in report.findings)
    console.print(Text(f"{report.app}: {'no check failed' if not failed else f'{failed} failed'}.", style="bold"))
