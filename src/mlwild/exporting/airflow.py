"""A DAG of Airflow 3."""

from __future__ import annotations

from mlwild.exporting.plan import Plan


def airflow_dag(plan: Plan) -> str:
    """
    Return a DAG that ticks an app, and is red while the app has an alarm.

    The first task may be tried again: a tick that was killed is finished once. But a second try of a tick that raised
    an alarm finds nothing due; so the second task asks for the state, and is not tried again.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    str
        A Python file for the folder of DAGs; it imports Airflow 3 and nothing of ML-wild.
    """
    since = f"datetime({plan.since.year}, {plan.since.month}, {plan.since.day})"
    return f'''"""The ticks of {plan.file}, written by mlwild export airflow."""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

# Missed runs need no backfill: the next one catches up, in order, each tick as of its own time.
with DAG(
    dag_id={"mlwild_" + plan.name!r},
    schedule={plan.schedule!r},
    start_date={since},
    catchup=False,
    max_active_runs=1,
    tags=["mlwild"],
):
    operate = BashOperator(
        task_id="operate",
        bash_command={_templated(plan.command("operate", plan.file))!r},
        retries=2,
        retry_delay=timedelta(minutes=5),
    )
    # Red while something is wrong, whether the tick above was tried again or not.
    status = BashOperator(
        task_id="status",
        bash_command={_templated(plan.command("status"))!r},
        trigger_rule="all_done",
        retries=0,
    )
    operate >> status
'''


def _templated(command: str) -> str:
    """Keep Airflow from taking braces for templates; its last character must not end in .sh either."""
    return "{% raw %}" + command + "{% endraw %}"
