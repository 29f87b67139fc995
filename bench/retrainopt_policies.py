"""RetrainOpt's planner and online policies, run in its own environment: JSON lines in, JSON lines out."""

import json
import sys

from retrainopt import (
    BaseOnlinePolicy,
    Decision,
    DecisionAction,
    LearnedOnlinePolicy,
    ModelAdapter,
    OnlineState,
    PlannerConfig,
    TimelineDataset,
    collect_online_training_data,
)


class Timeline(TimelineDataset):
    """Steps without data: a step's train block and evaluation block are its number."""

    def __init__(self, steps):
        self.steps = steps

    @property
    def num_steps(self):
        return self.steps

    def get_train_block(self, step):
        return [step]

    def get_eval_block(self, step):
        return [step]

    def train_size(self, step):
        return 1


class Lookup(ModelAdapter):
    """A fit is its step; its loss is read from the matrix that the rehearsal measured."""

    def __init__(self, losses):
        self.losses = losses

    def fit(self, train_data, *, step, n_samples, random_seed):
        return step

    def evaluate(self, model, eval_data, *, step):
        return self.losses[model][step]


def plan(losses, price):
    """Return the best schedule in hindsight of the tuning window, and the policy made of it."""
    made = collect_online_training_data(
        Timeline(len(losses)),
        Lookup(losses),
        PlannerConfig(n_choices=(1.0,)),
        history_steps=len(losses),
        training_cost_fn=lambda **_: price,
    )
    return made.decisions, BaseOnlinePolicy.from_plan(made.plan)


def learn(states, retrains):
    """Return the learned policy."""
    decisions = [
        Decision(DecisionAction.RETRAIN, 1, step) if retrain else Decision(DecisionAction.KEEP)
        for (step, *_), retrain in zip(states, retrains, strict=True)
    ]
    return LearnedOnlinePolicy().fit([OnlineState(*state) for state in states], decisions)


def main():
    policies = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "losses" in asked:
            decisions, policies["base"] = plan(asked["losses"], asked["price"])
            answer = [decision.action == DecisionAction.RETRAIN for decision in decisions]
        elif "states" in asked:
            policies["learned"] = learn(asked["states"], asked["retrains"])
            answer = True
        else:
            decision = policies[asked["policy"]].decide(OnlineState(*asked["state"]), train_size=1)
            answer = decision.action == DecisionAction.RETRAIN
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
