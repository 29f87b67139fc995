"""An app's ticks, as other schedulers want them; what is live, as MLflow wants it."""

from mlwild.exporting.airflow import airflow_dag
from mlwild.exporting.cron import crontab
from mlwild.exporting.github import github_workflow
from mlwild.exporting.plan import Plan, plan_of
from mlwild.exporting.pyfunc import save_pyfunc

__all__ = ["Plan", "airflow_dag", "crontab", "github_workflow", "plan_of", "save_pyfunc"]
