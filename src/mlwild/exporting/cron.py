"""Lines of a crontab."""

from __future__ import annotations

from mlwild.exporting.plan import Plan


def crontab(plan: Plan) -> str:
    """
    Return the lines that look after an app: its ticks, and once a day whether all is well.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    str
        For ``crontab``; cron mails what is printed.

    References
    ----------
    .. [1] crontab(5): a percent sign ends a command, unless a backslash stands before it.
    """
    tick = _line(plan.schedule, f"({plan.command('operate', plan.file)}) 2>&1")
    look = _line("37 6 * * *", f"({plan.command('status')}) > /dev/null 2>&1 || ({plan.command('status')}) 2>&1")
    return (
        f"# The ticks of {plan.file}, written by mlwild export cron. To install: crontab -e, and paste.\n"
        "# A tick is due when the data reach its cutoff; a run with nothing due does nothing, one that was missed or\n"
        "# killed is made up for, and two at once do no harm. Exit codes: 1 alarm, 4 could not run.\n"
        f"{tick}\n"
        "# Once a day, and only if something is wrong: a tick that failed, promises that are not kept.\n"
        f"{look}\n"
    )


def _line(schedule: str, command: str) -> str:
    return f"{schedule} {command}".replace("%", r"\%")
