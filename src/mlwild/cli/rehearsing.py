"""Commands about the past: new, check, rehearse, compare, card."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from mlwild.cli.guarded import FAILED
from mlwild.cli.parts import AppFile, Compute, ComputeOption, StoreOption, can_write, jobs_of, write_json
from mlwild.cli.versions import RecordOption, begun, on_record
from mlwild.errors import AppError

if TYPE_CHECKING:
    from mlwild.app import App


class SplitChoice(StrEnum):
    """Which split schemes a rehearsal auditions."""

    free = "free"
    all = "all"


class Better(StrEnum):
    """Which direction of a metric is better."""

    more = "greater"
    less = "lower"


def new(path: Annotated[Path, typer.Argument(help="The file to write, such as churn.py.", show_default=False)]) -> None:
    """Write a commented starter app that runs as it is.

    Example: mlwild new churn.py
    """
    from mlwild.starting import new as write

    written = write(path)
    print(f"Wrote {written}. Next: mlwild check {written}, then mlwild rehearse {written}.")


def check(
    app: AppFile,
    cutoffs: Annotated[int, typer.Option(min=1, help="At how many random instants to cut the future off.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the instants and shuffles.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings as JSON.")] = None,
    contract: Annotated[
        Path | None, typer.Option("--contract", help="Default: APP.contract.toml beside APP.py.")
    ] = None,
    *,
    write_contract: Annotated[
        bool, typer.Option("--write-contract", help="Only write the contract, from the history.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an older contract.")] = False,
) -> None:
    """Look for features that know the future, hold the data against their contract, report when labels are known.

    Example: mlwild check flights.py --write-contract
    """
    from mlwild.checks import check as run
    from mlwild.checks import with_contract
    from mlwild.checks import write_contract as write
    from mlwild.loading import load_app
    from mlwild.show import show_check

    can_write(json_file, "--json")
    if write_contract:
        path = contract or app.with_suffix(".contract.toml")
        can_write(path, "--contract")
        print(write(load_app(app), path, force=force).said)
        return
    report = run(with_contract(load_app(app), contract), cutoffs=cutoffs, seed=seed)
    show_check(report)
    write_json(json_file, report.as_dict())
    if not report.passed:
        raise typer.Exit(FAILED)


def rehearse(
    app: AppFile,
    *,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the answer sheet as JSON.")] = None,
    card: Annotated[Path | None, typer.Option("--card", help="Write the card, one HTML file.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="one a processor")] = None,
    store: StoreOption = ".mlwild",
    splits: Annotated[
        SplitChoice, typer.Option("--splits", help="all: cross-validation too, at a few cutoffs; it fits models.")
    ] = SplitChoice.free,
    every_rule: Annotated[bool, typer.Option("--all-rules", help="Show every rule, not only the first dozen.")] = False,
    compute: ComputeOption = Compute.joblib,
    record: RecordOption = True,
) -> None:
    """Replay the app's history: how fast the model ages, and what each retraining rule would have cost.

    Example: mlwild rehearse flights.py --card flights.html --json flights.json
    """
    from mlwild.card import card_html
    from mlwild.loading import load_app
    from mlwild.rehearsal import rehearse as run
    from mlwild.rules import example
    from mlwild.show import fits_bar, show_sheet

    can_write(json_file, "--json")
    can_write(card, "--card")
    loaded = load_app(app)
    began, versions = begun(loaded)
    with fits_bar() as progress:
        made_by = jobs_of(compute, jobs)
        rehearsal = run(loaded, splits=splits.value, store=store, jobs=made_by, progress=progress)
    show_sheet(rehearsal.sheet, every_rule=every_rule)
    write_json(json_file, rehearsal.sheet)
    if card is not None:
        print(f"Card: {rehearsal.card(card)}")
    else:
        print(f"Card: mlwild card {app}")
    sheet = rehearsal.sheet
    on_record(
        record,
        loaded,
        "rehearsal",
        sheet,
        store=store,
        began=began,
        versions=versions,
        params={"model": sheet["model"]}
        | ({"rule": sheet["recommended"]["rule"]} if sheet["recommended"]["rule"] else {})
        | {"splits": splits.value, "seeds": ", ".join(map(str, loaded.seeds)), "loss": sheet["loss"]["name"]},
        page=lambda: {"card.html": card_html(sheet)},
    )
    print(f"Next: mlwild gate {app} (may it go live?), mlwild stress {app} (what is the worst that can happen?),")
    if sheet["recommended"]["rule"] is None:
        named = quote(example([row["name"] for row in sheet["rules"]]))
        print(
            f"then name a rule, as none is recommended: mlwild operate {app} --rule {named} --dry-run (what would it do"
        )
        print("live?).")
        return
    print(f"then mlwild operate {app} --dry-run (what would it do live?).")


def compare(
    path: Annotated[Path, typer.Argument(help="The app file, or a CSV, XLSX or Parquet of past experiments.")],
    *,
    metric: Annotated[str | None, typer.Option("--metric", help="Experiments: the column to compare by.")] = None,
    better: Annotated[Better | None, typer.Option("--better", help="Experiments: which is better.")] = None,
    by: Annotated[list[str] | None, typer.Option("--by", help="Experiments: a column of what was tried.")] = None,
    seed_column: Annotated[str | None, typer.Option("--seed-column", help="Experiments: the column of seeds.")] = None,
    prefer: Annotated[
        str | None,
        typer.Option("--prefer", help="Among the best: worst_case, costs a=3,b=1, or names, simplest first: a,b."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the comparison as JSON.")] = None,
    card: Annotated[Path | None, typer.Option("--card", help="Write the comparison as one HTML file.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 where something is missing in the input or misleading.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="one a processor")] = None,
    store: StoreOption = ".mlwild",
    record: RecordOption = True,
) -> None:
    """Say which model is better, by a procedure that suits the data; of an app, or of past experiments.

    Examples: mlwild compare flights.py; mlwild compare runs.csv --metric accuracy --by model --card runs.html
    """
    from mlwild.card import comparison_html, write_comparison
    from mlwild.comparisons import compare as run
    from mlwild.comparisons import read_experiments, read_prefer
    from mlwild.show import fits_bar, show_comparison

    can_write(json_file, "--json")
    can_write(card, "--card")
    rule = None if prefer is None else read_prefer(prefer)
    began, versions = begun(None)
    of: App | str = path.stem
    extra: dict[str, object] = {}
    if path.suffix != ".py":
        table = read_experiments(path, metric=metric, better=better, by=by, seed=seed_column)
        found, title, facts, findings = run(table, prefer=rule), path.name, table.said, list(table.findings)
        measure, extra = {"name": table.schema.metric, "better": table.schema.better}, table.as_dict()
    else:
        from mlwild.comparing import compare_app, measure_of
        from mlwild.loading import load_app

        if metric or better or by or seed_column:
            raise AppError(
                "--metric, --better, --by and --seed-column: they are for a table of experiments, not an app."
            )
        loaded = load_app(path)
        began, versions = begun(loaded)
        with fits_bar() as progress:
            found, facts, findings = compare_app(loaded, prefer=rule, store=store, jobs=jobs, progress=progress)
        of, title, measure = loaded, loaded.name, measure_of(loaded)
    show_comparison(found, title=title, facts=facts, findings=findings)
    write_json(json_file, found.as_dict() | extra)
    if card is not None:
        page = write_comparison(found, card, title=title, facts=facts, findings=findings, measure=measure)
        print(f"Card: {page}")
    told = {"title": title, "facts": facts, "findings": list(findings), "measure": dict(measure)}
    on_record(
        record,
        of,
        "comparison",
        found.as_dict() | extra,
        store=store,
        began=began,
        versions=versions,
        params={"method": found.method, "best": found.best or "no clear best", "metric": str(measure["name"])},
        page=lambda: {"card.html": comparison_html(found.as_dict() | told)},
        against=", ".join(found.names),
    )
    if strict and findings:
        raise typer.Exit(FAILED)


def card(
    app: AppFile,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write.", show_default="NAME.html")
    ] = None,
    store: StoreOption = ".mlwild",
) -> None:
    """Write the card of the app's last rehearsal: one self-contained HTML file.

    Example: mlwild card flights.py -o flights.html
    """
    from mlwild.card import write_card
    from mlwild.loading import load_app
    from mlwild.rehearsal import last_sheet

    loaded = load_app(app)
    path = out or Path(f"{loaded.name}.html")
    can_write(path, "--out")
    print(f"Card: {write_card(last_sheet(loaded, store=store), path)}")
