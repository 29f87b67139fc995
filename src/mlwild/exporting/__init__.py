"""An app's ticks, as other schedulers want them."""

from mlwild.exporting.airflow import airflow_dag
from mlwild.exporting.cron import crontab
from mlwild.exporting.github import github_workflow
from mlwild.exporting.plan import Plan, plan_of

__all__ = ["Plan", "airflow_dag", "crontab", "github_workflow", "plan_of"]
