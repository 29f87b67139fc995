"""What the rivals of drift and label-free estimates are installed from; pinned, so that a table can be made again."""

#: With the newest pandas, NumPy and scikit-learn none of the three can be imported: the last that each works with.
PINS = {
    "nannyml": (
        "nannyml==0.13.1",
        "numpy==1.26.4",
        "pandas==2.2.3",
        "scikit-learn==1.5.2",
        "scipy==1.13.1",
        "pyarrow==17.0.0",
    ),
    "evidently": ("evidently==0.7.23", "numpy==2.0.2", "pandas==2.2.3", "scikit-learn==1.7.2", "pyarrow==17.0.0"),
    "deepchecks": (
        "deepchecks==0.19.1",
        "numpy==1.26.4",
        "pandas==2.2.3",
        "scikit-learn==1.4.2",
        "setuptools==75.8.0",
        "pyarrow==17.0.0",
    ),
}
