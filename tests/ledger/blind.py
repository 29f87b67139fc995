"""Other forms of the defects, which no door stops today."""

from tests.ledger.mutation import Mutation, app, model, tests
from tests.ledger.sources import SPLIT_AT_RANDOM

SPLIT_BY_HAND = SPLIT_AT_RANDOM.replace(
    "some, rest, theirs, others = train_test_split(X, y, test_size=0.2)",
    "order = np.random.default_rng(0).permutation(len(y))\n"
    "        cut = len(y) // 5\n"
    "        some, rest, theirs, others = X[order[cut:]], X[order[:cut]], y[order[cut:]], y[order[:cut]]",
)

PICKED = """paid = rows.frame["refund"].to_numpy()
    assert abs((expected - paid)[paid < np.quantile(paid, 0.95)].mean()) < 10"""

#: Other forms of the same defects that nothing stops today: `what` says why.
BLIND = (
    Mutation(
        "random split of dated rows, by hand",
        "Only calls that are known to split at random are seen, not rows that are shuffled by hand.",
        "",
        "gate",
        "legal splits",
        (),
        model(SPLIT_BY_HAND, "Chosen"),
    ),
    Mutation(
        "unknown category coded as padding, beside a column that tells them apart",
        "All features have to be those of a missing value; one that differs, such as a rate of its own, hides the code.",
        "",
        "gate",
        "unknown categories",
        (),
        app(
            (
                'made["category_missing"] = orders["category"].isna().astype(float)',
                'made["category_missing"] = (~orders["category"].isin(CATEGORIES)).astype(float)',
            ),
            ('float(pd.isna(one["category"]))', 'float(one["category"] not in CATEGORIES)'),
            (
                "for category in CATEGORIES:\n        mine",
                'for category in orders["category"].dropna().unique():\n        mine',
            ),
        ),
    ),
    Mutation(
        "slices without size, of losses that were picked by hand",
        "What is averaged is seen in `mean_loss`, not in arithmetic of the test's own.",
        "",
        "gate",
        "slices",
        (),
        tests(
            ("for part in (price < 48, price >= 48):", "for part in (price < 48, price >= 48, price > 120):"),
            ("assert model.mean_loss(events.where(part)) < 0.25", "assert model.losses(events)[part].mean() < 0.25"),
        ),
    ),
    Mutation(
        "target outliers removed from the test part, after all rows were predicted",
        "Which rows a test looks at is seen by what it has predicted.",
        "",
        "gate",
        "refunds",
        (),
        tests(
            (
                'assert abs((expected - rows.frame["refund"].to_numpy()).mean()) < 10',
                PICKED,
            ),
        ),
    ),
    Mutation(
        "missing metric shown as 0.0, in a helper",
        "The source of the test is read, not that of what it calls; and its other rule fails for NaN.",
        "",
        "gate",
        "rules",
        (),
        tests(
            ("(measured[name], float(limit))", "(measured.get(name, 0.0), float(limit))"),
            ('measured = {"loss": np.average', 'measured = {"log_loss": np.average'),
        ),
    ),
)
