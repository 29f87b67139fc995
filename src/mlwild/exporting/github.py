"""A workflow of GitHub Actions."""

from __future__ import annotations

import shlex
from string import Template

from mlwild.errors import AppError
from mlwild.exporting.plan import Plan
from mlwild.triangle.store import STORE

_WORKFLOW = Template("""\
# The gate of $file on pull requests, and its ticks; written by mlwild export github for .github/workflows/.
# requirements.txt must install mlwild and what the app needs. GitHub drops scheduled runs at busy minutes and stops
# them after 60 days without a push: run `mlwild status` from somewhere else too.
name: mlwild $name
on:
  pull_request:
  workflow_dispatch:
  schedule:
    - cron: "$schedule"
permissions:
  contents: read
jobs:
  gate:
    if: github.event_name == 'pull_request'
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          persist-credentials: false
      - uses: actions/setup-python@v5
        with:
          python-version: "$python"
      - run: pip install -r requirements.txt
      - run: |
          mlwild check $quoted
          mlwild gate $quoted --undecided-passes --junit gate.xml
  tick:
    if: github.event_name != 'pull_request'
    runs-on: ubuntu-latest
    # One at a time: the next one waits, and none is cut off.
    concurrency:
      group: mlwild-$name
      cancel-in-progress: false
    permissions:
      contents: write
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "$python"
      - run: pip install -r requirements.txt
      # The life of the app is on a branch of its own: its ledger, and the models that were live.
      - name: Fetch the life so far
        run: |
          git config user.name mlwild
          git config user.email mlwild@localhost
          if git fetch origin $branch; then
            git worktree add .mlwild/operate/$name FETCH_HEAD
          else
            git worktree add --detach .mlwild/operate/$name
            git -C .mlwild/operate/$name checkout --orphan $branch
            git -C .mlwild/operate/$name rm -rfq .
          fi
      - name: Tick
        run: |
          mlwild operate $quoted --rule "$$RULE"
        env:
          RULE: break-even # what mlwild rehearse recommends; to change it later, open a new life with --reopen
      - name: Keep the life
        if: always()
        working-directory: .mlwild/operate/$name
        run: |
          echo rows/ > .gitignore
          git add -A
          git diff --cached --quiet || git commit -m "mlwild $name"
          git push origin HEAD:refs/heads/$branch
""")


def github_workflow(plan: Plan, python: str) -> str:
    """
    Return a workflow that runs the gate on pull requests, and ticks on a schedule.

    Parameters
    ----------
    plan : Plan
    python : str
        Version of Python, such as ``"3.11"``.

    Returns
    -------
    str
        YAML.

    Raises
    ------
    AppError
        If the plan has a store of its own.
    """
    if plan.store != STORE:
        raise AppError(
            f"store: {plan.store!r} is not there on a machine of GitHub, which begins empty: the life is kept on a "
            "branch. Leave out --store."
        )
    return _WORKFLOW.substitute(
        file=plan.file,
        quoted=shlex.quote(plan.file),
        name=plan.name,
        branch=f"mlwild-{plan.name}",
        schedule=plan.schedule,
        python=python,
    )
