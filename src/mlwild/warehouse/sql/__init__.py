"""Tables of a database: read as they were known at an instant, with what a read would cost told before."""

from mlwild.warehouse.sql.estimate import Estimate, bigquery_estimate, bigquery_sql, estimate
from mlwild.warehouse.sql.source import Sql

__all__ = ["Estimate", "Sql", "bigquery_estimate", "bigquery_sql", "estimate"]
