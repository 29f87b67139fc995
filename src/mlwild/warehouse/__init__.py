"""Tables that lose nothing: append-only, with what was known when, and a record of every batch."""

from mlwild.warehouse.adding import Added, add
from mlwild.warehouse.catalogue import Column, Entry, describe
from mlwild.warehouse.description import Description
from mlwild.warehouse.differences import Difference, differences
from mlwild.warehouse.sql import Sql
from mlwild.warehouse.stored import Stored, tells_corrections
from mlwild.warehouse.table import WAREHOUSE, Batch, StoredTable, tables

__all__ = [
    "WAREHOUSE",
    "Added",
    "Batch",
    "Column",
    "Description",
    "Difference",
    "Entry",
    "Sql",
    "Stored",
    "StoredTable",
    "add",
    "describe",
    "differences",
    "tables",
    "tells_corrections",
]
