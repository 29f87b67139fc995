"""Ready tests: each a frozen dataclass with a verdict on a trial."""
