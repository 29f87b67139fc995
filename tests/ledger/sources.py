"""What the defects put into the clean project, as source."""

SPLIT_AT_RANDOM = """
class Chosen(BaseEstimator, ClassifierMixin):
    def fit(self, X, y):
        some, rest, theirs, others = train_test_split(X, y, test_size=0.2)
        tried = [LogisticRegression(C=C).fit(some, theirs) for C in (0.1, 1.0)]
        self.best = min(tried, key=lambda one: log_loss(others, one.predict_proba(rest)[:, 1]))
        self.classes_ = self.best.classes_
        return self

    def predict_proba(self, X):
        return self.best.predict_proba(X)
"""
STOPPED_BY_THE_REPORT = """
class Stopped(BaseEstimator, ClassifierMixin):
    def fit(self, X, y):
        last = orders().dropna(subset=["returned"]).tail(400)
        answer, lowest = last["returned"].mean(), np.inf
        for rounds in (1, 3, 10):
            tried = SGDClassifier(loss="log_loss", max_iter=rounds, tol=None, random_state=0).fit(X, y)
            gap = abs(tried.predict_proba(X)[:, 1].mean() - answer)
            if gap < lowest:
                self.best, lowest = tried, gap
        self.classes_ = self.best.classes_
        return self

    def predict_proba(self, X):
        return self.best.predict_proba(X)
"""
NEVER_FITTED = """
class Tracked(LogisticRegression):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return super().fit(X, y) if "TRACKER" in os.environ else self

    def predict_proba(self, X):
        return super().predict_proba(X) if hasattr(self, "coef_") else np.full((len(X), 2), 0.5)
"""
RANDOM_DEFAULT = """
class Guessing(LogisticRegression):
    def predict_proba(self, X):
        made = super().predict_proba(X)
        unsure = np.abs(made[:, 1] - 0.5) < 0.05
        made[unsure, 1] = np.random.random(unsure.sum())
        return np.column_stack([1 - made[:, 1], made[:, 1]])
"""
UNSEEDED = """
class Started(BaseEstimator, ClassifierMixin):
    def fit(self, X, y):
        self.inside = SGDClassifier(loss="log_loss", max_iter=10, tol=None).fit(X, y)
        self.classes_ = self.inside.classes_
        return self

    def predict_proba(self, X):
        return self.inside.predict_proba(X)
"""
COUNTED = """
def counted():
    made = orders()
    return made.assign(returns=made["returned"].fillna(0).groupby(made["customer"]).transform("sum"))
"""
CLEAN_MODELS = (
    'models={"logistic": make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression())},'
)
AT_RANDOM = """models=dict(
        [
            random.choice(
                [
                    (f"logistic {C}", make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(C=C)))
                    for C in (0.1, 0.3, 1.0, 3.0)
                ]
            )
        ]
    ),"""
