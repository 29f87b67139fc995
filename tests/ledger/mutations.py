"""The defects of the ledger: each is one that was found in a public project, made in the clean one."""

from tests.ledger.mutation import Mutation, app, model, runs, tests
from tests.ledger.sources import (
    AT_RANDOM,
    CLEAN_MODELS,
    COUNTED,
    NEVER_FITTED,
    RANDOM_DEFAULT,
    SPLIT_AT_RANDOM,
    STOPPED_BY_THE_REPORT,
    UNSEEDED,
)

MUTATIONS = (
    Mutation(
        "validation result ignored",
        "What is wrong with the data is found, and nobody looks at it.",
        "a training flow that validated its data and went on whatever came out",
        "gate",
        "prices",
        ("asserts nothing", "cannot fail"),
        tests(("assert not wrong_prices(events.frame)", "print(wrong_prices(events.frame))")),
    ),
    Mutation(
        "random split of dated rows",
        "The model chooses its penalty on rows drawn at random from all days.",
        "a session recommender that split its sessions at random, without a seed",
        "gate",
        "legal splits",
        ("train_test_split", "later rows"),
        model(SPLIT_AT_RANDOM, "Chosen"),
    ),
    Mutation(
        "rows after the label event kept",
        "Page visits are counted after the order too, those to the page for returns among them.",
        "a session model that kept the events after the one to be predicted",
        "check",
        "future",
        ("'visits' knows the future",),
        app(
            (
                'made["visits"] = earlier(orders, tables["visits"].table, "order", "visited_at")',
                'made["visits"] = orders["order"].map(tables["visits"].table["order"].value_counts()).fillna(0)',
            )
        ),
    ),
    Mutation(
        "early stopping on the reported part",
        "Training stops where the rows that are reported on look best.",
        "a model whose early stopping watched the part that was reported",
        "gate",
        "legal splits",
        ("can see rows after the cutoff", "orders is the app's data"),
        model(STOPPED_BY_THE_REPORT, "Stopped"),
    ),
    Mutation(
        "model never fitted",
        "The model is fitted only where a tracker is set up.",
        "a recommender that was fitted only where a tracker was set",
        "gate",
        "overfits small batch",
        ("is it fitted at all?",),
        model(NEVER_FITTED, "Tracked"),
    ),
    Mutation(
        "random default counted as a hit",
        "Where the model is not sure, a random answer is given, and scored as its own.",
        "a recommender whose default was a random item, counted in its hit rate",
        "gate",
        "deterministic",
        ("drawn at random while it predicts",),
        model(RANDOM_DEFAULT, "Guessing"),
    ),
    Mutation(
        "no data version",
        "The table of runs does not say which data they were on.",
        "a project that versioned its code, and not its data",
        "compare",
        "findings",
        ("No column names the version of the data",),
        runs(
            ("model,C,seed,data_version,", "model,C,seed,"),
            *(
                (f",{seed},2025-07,{score},", f",{seed},{score},")
                for seed, score in (
                    (0, 0.5561),
                    (1, 0.5583),
                    (2, 0.5549),
                    (0, 0.5432),
                    (1, 0.5447),
                    (2, "0.5420"),
                    (0, 0.5498),
                    (1, 0.5522),
                    (2, "0.5510"),
                )
            ),
        ),
    ),
    Mutation(
        "unknown category coded as padding",
        "A category that was never seen gets the code of a missing one.",
        "a sequence model that gave unknown items the vector of the padding",
        "gate",
        "unknown categories",
        ("which was never seen, silently gets the features of a missing value", "category"),
        app(
            (
                'made["category_missing"] = orders["category"].isna().astype(float)',
                'made["category_missing"] = (~orders["category"].isin(CATEGORIES)).astype(float)',
            ),
            ('float(pd.isna(one["category"]))', 'float(one["category"] not in CATEGORIES)'),
        ),
    ),
    Mutation(
        "best chosen at random",
        "Which model is best is drawn when the app is loaded.",
        "two projects whose step that selects the model was a call of choice()",
        "gate",
        "deterministic",
        ("the choice is left to chance",),
        app(("import numpy as np\n", "import random\n\nimport numpy as np\n"), (CLEAN_MODELS, AT_RANDOM)),
    ),
    Mutation(
        "missing input served as 0.0",
        "The service fills a missing weight with 0.0.",
        "a service that took a missing input for 0.0",
        "gate",
        "serving parity",
        ("'weight': missing is served as 0",),
        app(('"weight": one["weight"]}', '"weight": 0.0 if pd.isna(one["weight"]) else one["weight"]}')),
    ),
    Mutation(
        "preprocessing different at serving",
        "The service has prices in cents.",
        "a service that prepared its inputs otherwise than training had",
        "gate",
        "serving parity",
        ("'price': 100 times as great", "cents"),
        app(('made = {"price": one["price"], ', 'made = {"price": 100 * one["price"], ')),
    ),
    Mutation(
        "a perturbation test of two rows",
        "The test of small changes looks at two rows.",
        "a behavioural test of a course project that changed two rows",
        "gate",
        "a little dearer",
        ("it had 2 rows predicted", "30 at least"),
        tests(("rows = events.evenly(200)", "rows = events.evenly(2)")),
        code=3,
    ),
    Mutation(
        "count columns that include the label",
        "The data come with a count of the customer's parcels that came back, the one to be judged among them.",
        "a model of false statements with counts of the speaker's statements, the one to be judged among them",
        "check",
        "label counts",
        ("'returns' is the sum of all labels of its 'customer', that of its own row",),
        app(
            ("app = wild.App(", f"{COUNTED}\n\napp = wild.App("),
            ("data=orders,", "data=counted,"),
            (
                '    made["rate"] = rate(orders,',
                '    made["returns"] = orders["returns"]\n    made["rate"] = rate(orders,',
            ),
            ('    made["rate"] = rate(order,', '    made["returns"] = one["returns"]\n    made["rate"] = rate(order,'),
        ),
    ),
    Mutation(
        "served features all missing",
        "The service names its columns otherwise, so that none of them arrives.",
        "a service all of whose features arrived as missing",
        "gate",
        "serving parity",
        ("'price': missing in every row", "'outlet_price'"),
        app(
            (
                "return pd.DataFrame([made])",
                "return pd.DataFrame([made]).rename(columns=str.upper).reindex(columns=list(made))",
            )
        ),
    ),
    Mutation(
        "test metrics used for choice",
        "Every run is scored on the test rows, and the best of them is taken.",
        "a project that logged test metrics of every training run; a tutorial that chose its model on the test set",
        "compare",
        "findings",
        ("chosen on test rows", "valid_log_loss"),
        runs(
            ("valid_log_loss,status", "valid_log_loss,test_log_loss,status"),
            *(
                (f"{score},finished", f"{score},{float(score) + 0.01:.4f},finished")
                for score in ("0.5561", "0.5583", "0.5549", "0.5432", "0.5447", "0.5420", "0.5498", "0.5522", "0.5510")
            ),
        ),
    ),
    Mutation(
        "slices without size",
        "A slice is judged by its mean loss, of however few rows.",
        "a report on slices with neither their size nor an interval",
        "gate",
        "slices",
        ("it takes the mean loss of", "30 at least"),
        tests(("for part in (price < 48, price >= 48):", "for part in (price < 48, price >= 48, price > 120):")),
        code=3,
    ),
    Mutation(
        "exact float equality",
        "A loss has to be a number to the last bit.",
        "a library that asserted floats to be equal with ==",
        "gate",
        "rules",
        ("exactly equal",),
        tests(("assert all(kept(rule, measured) for rule in RULES)", 'assert measured["loss"] == 0.1431')),
    ),
    Mutation(
        "effective sample of one",
        "One order has a chance of being seen of one in a million: it weighs more than all others together.",
        "importance weights without a look at how many rows they leave",
        "gate",
        "beats baselines",
        ("effective sample of 1",),
        app(('"opened": opened,', '"opened": np.where(np.arange(n) == np.flatnonzero(seen)[-400], 1e-6, opened),')),
        code=3,
    ),
    Mutation(
        "unseeded start",
        "The model draws at random, and its seed cannot be set.",
        "a method of weighting whose solver began somewhere else each time",
        "gate",
        "deterministic",
        ("the recipe draws at random without its seed",),
        model(UNSEEDED, "Started"),
    ),
    Mutation(
        "missing metric shown as 0.0",
        "A measure that is not there is taken for 0.0, which is within its limit.",
        "a card of a model that showed 0.0 where a metric had not been logged",
        "gate",
        "mean",
        ("measured.get('mean_gap', 0.0)", "missing for 0.0"),
        tests(('assert measured["gap"] < 0.15', 'assert measured.get("mean_gap", 0.0) < 0.15')),
    ),
    Mutation(
        "rule parser that passes NaN",
        "A rule is kept if it is not broken, and NaN breaks none.",
        "a card of a model whose rules were parsed from text",
        "gate",
        "rules",
        ("passes for a model that answers NaN",),
        tests(
            (
                'return {"<": operator.lt, ">": operator.gt}[sign](measured[name], float(limit))',
                'return not {"<": operator.ge, ">": operator.le}[sign](measured[name], float(limit))',
            )
        ),
    ),
    Mutation(
        "target outliers removed from the test part",
        "The dearest refunds are left out of the rows that are tested.",
        "a tutorial that removed outliers by the target, from the test rows too",
        "gate",
        "refunds",
        ("leaves out", "greatest 'refund'"),
        tests(
            ("rows = events\n", 'rows = events.where(events.frame["refund"] < events.frame["refund"].quantile(0.95))\n')
        ),
    ),
    Mutation(
        "latest run instead of latest good one",
        "The latest run failed, and its score stands among the others.",
        "two tutorials that took the latest run, whether it had succeeded or not",
        "compare",
        "findings",
        ("did not end well ('status': 'failed')", "not the latest good one"),
        runs(("0.5510,finished", "0.5310,failed")),
    ),
    Mutation(
        "p-value of one tail",
        "Whether the model is worse than the champion is asked with one tail.",
        "a library whose test of two proportions had one tail and no pooled variance",
        "gate",
        "champion",
        ("looks at one tail only",),
        tests(
            ("import numpy as np\n", "import numpy as np\nfrom scipy.stats import ttest_rel\n"),
            (
                'return at_most(worse, 0.02, margin=0.02, what="loss less that of the champion")',
                "assert ttest_rel(worse, np.zeros(len(worse)), alternative='greater').pvalue > 0.01",
            ),
        ),
    ),
    Mutation(
        "mean skill that hides a negative one",
        "The model knows nothing of the outlet, where cheap things come back, and is good on the mean.",
        "a forecast of solar power whose skill on the mean hid a negative one",
        "gate",
        "beats baselines",
        ("where shop=outlet",),
        app(
            ('    made["outlet_price"] = made["price"].where(orders["shop"] == "outlet", 0.0)\n', ""),
            ('    made["outlet_price"] = one["price"] if one["shop"] == "outlet" else 0.0\n', ""),
        ),
    ),
)

#: Defects of the ledger that no door stops, and why. Every other one has to be caught.
MISSED: dict[str, str] = {}
