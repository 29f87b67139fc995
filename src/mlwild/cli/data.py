"""Commands about stored tables: data add, show, history, diff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlwild.cli.guarded import guarded
from mlwild.cli.parts import can_write, folder_named, write_json
from mlwild.errors import AppError

data = typer.Typer(help="Tables that lose nothing: append-only, with what was known when.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the table.", show_default=False)]
Warehouse = Annotated[str, typer.Option("--warehouse", help="Folder of the tables.", callback=folder_named)]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the answer as JSON.")]
HOME = ".mlwild/warehouse"


def add(
    name: Name,
    files: Annotated[list[Path], typer.Argument(help="Parquet or CSV files, in this order.", show_default=False)],
    *,
    key: Annotated[str | None, typer.Option("--key", help="First file: the column that names each row once.")] = None,
    time: Annotated[str | None, typer.Option("--time", help="First file: the column with a row's time.")] = None,
    known: Annotated[
        str | None,
        typer.Option(
            "--known",
            help="From when rows count as known: time (their own), now, or a column.",
            show_default="time for the first file, then now",
        ),
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Who is to be asked.")] = None,
    unit: Annotated[list[str] | None, typer.Option("--unit", help="A column's unit: price=EUR.")] = None,
    correct: Annotated[bool, typer.Option("--correct", help="Rows may correct others: both forms are kept.")] = False,
    new_columns: Annotated[bool, typer.Option("--new-columns", help="Columns may be added.")] = False,
    warehouse: Warehouse = HOME,
) -> None:
    """Add files to a table. The same file twice adds nothing; a row that contradicts one that is there is refused.

    Example: mlwild data add orders orders-2026-01.parquet --key order_id --time ordered_at
    """
    from mlwild.warehouse import add as run

    units = dict(_pair(one) for one in unit or [])
    for place, file in enumerate(files):
        made = run(
            name,
            file,
            key=key,
            time=time,
            known=known,
            owner=owner if place == 0 else None,
            units=units if place == 0 else None,
            correct=correct,
            new_columns=new_columns,
            warehouse=warehouse,
        )
        print(f"{file}: {made.said}" if len(files) > 1 else made.said)


def _pair(text: str) -> tuple[str, str]:
    column, found, unit = text.partition("=")
    if not (column and found and unit):
        raise AppError(f"--unit: {text!r} is not COLUMN=UNIT, such as price=EUR.")
    return column, unit


def show(
    name: Annotated[str | None, typer.Argument(help="Name of the table.", show_default="all")] = None,
    *,
    app: Annotated[
        list[Path] | None, typer.Option("--app", help="An app file: which columns it reads, and would break without.")
    ] = None,
    json_file: JsonFile = None,
    warehouse: Warehouse = HOME,
) -> None:
    """Show the catalogue, or one table: columns, units, ranges, gaps, owner, freshness, and which apps read what.

    Examples: mlwild data show; mlwild data show orders --app churn.py --app fraud.py
    """
    from mlwild.checks.readers import reader_of
    from mlwild.loading import load_app
    from mlwild.show import show_entries
    from mlwild.warehouse import StoredTable, describe, tables

    can_write(json_file, "--json")
    if app and name is None:
        raise AppError("--app: name the table too, such as mlwild data show orders --app churn.py.")
    chosen = tables(warehouse) if name is None else [StoredTable(Path(warehouse) / name)]
    entries = [describe(one) for one in chosen]
    readers = [reader_of(load_app(path), str(name)) for path in app or []]
    found = [one for one in readers if one is not None]
    show_entries(entries, warehouse, columns=name is not None, readers={one.app: one.columns for one in found})
    write_json(json_file, [one.as_dict() | {"readers": [vars(reader) for reader in found]} for one in entries])


def history(name: Name, json_file: JsonFile = None, warehouse: Warehouse = HOME) -> None:
    """Show what was added to a table, and when.

    Example: mlwild data history orders
    """
    from mlwild.show import show_batches
    from mlwild.warehouse import StoredTable

    can_write(json_file, "--json")
    table = StoredTable(Path(warehouse) / name)
    table.description  # noqa: B018  says which tables there are
    show_batches(table.batches)
    write_json(json_file, [vars(one) for one in table.batches])


def diff(
    name: Name,
    old: Annotated[int, typer.Argument(help="Earlier version.", show_default=False)],
    new: Annotated[int | None, typer.Argument(help="Later version.", show_default="the last")] = None,
    json_file: JsonFile = None,
    warehouse: Warehouse = HOME,
) -> None:
    """Show what a later version of a table has that an earlier one has not.

    Example: mlwild data diff orders 3 4
    """
    from mlwild.show import show_difference
    from mlwild.warehouse import StoredTable, differences

    can_write(json_file, "--json")
    table = StoredTable(Path(warehouse) / name)
    table.description  # noqa: B018  says which tables there are
    found = differences(table, old, table.version if new is None else new)
    show_difference(found)
    write_json(json_file, found.as_dict())


def estimate(
    app: Annotated[Path, typer.Argument(help="The app file, such as flights.py.", show_default=False)],
    *,
    sql: Annotated[bool, typer.Option("--sql", help="Show what would be asked.")] = False,
    json_file: JsonFile = None,
) -> None:
    """Say what one read of an app's database tables would scan, without making it.

    Example: mlwild data estimate flights.py
    """
    from mlwild.loading import load_app
    from mlwild.show import show_estimates
    from mlwild.warehouse import Sql
    from mlwild.warehouse.sql import estimate as ask

    can_write(json_file, "--json")
    loaded = load_app(app)
    sources = {"data": loaded.data} | {f"tables[{name!r}]": one.data for name, one in loaded.tables.items()}
    found = {where: ask(one) for where, one in sources.items() if isinstance(one, Sql)}
    show_estimates(found, loaded.name, asked=sql)
    write_json(json_file, {where: one.as_dict() for where, one in found.items()})


for _command in (add, show, history, diff, estimate):
    data.command()(guarded(_command))
