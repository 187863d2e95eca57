"""The rows of a stale evaluation."""

from collections.abc import Iterator
from pathlib import Path

from holdfast.build.plan_figures import Counted, Rows, count, figures
from holdfast.build.plan_outlook import TEMPLATE_TOKENS, Arguments, Outlook, shard_of
from holdfast.inference.token_estimate import text_tokens
from holdfast.steps.evaluate import requests as evaluate
from holdfast.steps.evaluate.params import HarnessSuite


def evaluations(args: Arguments, outlook: Outlook) -> Iterator[Rows]:
    """Of one arm: its item suites, their judges, and the suites that are not counted."""
    params = outlook.params
    arm, model = args["arm"][0], outlook.model_of_arm(args)
    suites = params.evaluate.suites
    files = [path for path in (getattr(suite, "path", None) for suite in suites.values()) if path]
    if files and not all(map(outlook.known, files)):
        yield Rows(arm, None, uncounted="as many rows as the suites have, which are yet to be built")
    elif files:
        asked = evaluate.questions(params.evaluate)
        shard = shard_of(args)
        prompts = evaluate.requests(asked, params.evaluate.sampling)
        found = count(arm, model, prompts, outlook.there(model), shard=shard)
        if model.shards > 1 and not shard:  # its shards have asked
            found = Counted(0, found.asked + found.reused, 0, 0)
        yield figures(arm, model, "evaluate", found.asked, found.reused, found)
        if shard:
            return
        for judge in sorted({suite.judge for _, suite, _ in asked.values() if suite.kind == "judge"}):
            judging = [
                sum(text_tokens(text) for _, text in item.messages)
                + text_tokens(Path(suite.rubric).read_text(encoding="utf-8"))
                + (suite.max_tokens or params.evaluate.sampling.max_tokens)
                + TEMPLATE_TOKENS
                for _, suite, item in asked.values()
                if suite.kind == "judge" and suite.judge == judge
            ]
            most = Counted(len(judging), 0, sum(judging), len(judging))
            yield figures(judge, params.models[judge], "evaluate", len(judging), 0, most, exact=False)
    for name, suite in sorted(suites.items()):
        if isinstance(suite, HarnessSuite):
            yield Rows(arm, None, uncounted=f"{name}: the harness's requests are not counted")
