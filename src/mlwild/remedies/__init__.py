"""
Remedies for a slice on which a model fails: models around a base model, to be rehearsed like any other.

None is believed before it was rehearsed: `mlwild patch` says what each did to the slice in the next period
and what it cost elsewhere.
"""
