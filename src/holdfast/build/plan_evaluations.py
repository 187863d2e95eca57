"""The rows of a stale evaluation."""

from collections.abc import Iterator
from pathlib import Path

from holdfast.build.plan_figures import Counted, Rows, count, figures
from holdfast.build.plan_outlook import TEMPLATE_TOKENS, Arguments, Outlook
from holdfast.inference.token_estimate import text_tokens
from holdfast.steps.evaluate import requests as evaluate
from holdfast.steps.evaluate.params import HarnessSuite


def evaluations(args: Arguments, outlook: Outlook) -> Iterator[Rows]:
    """Of one arm: its item suites, their judges, and the suites that are not counted."""
    params = outlook.params
    arm, base, path = args["arm"][0], params.models[params.base], args["model"][0]
    model = base if path == base.path else base.trained(path)
    suites = params.evaluate.suites
    files = [path for path in (getattr(suite, "path", None) for suite in suites.values()) if path]
    if files and not all(map(outlook.known, files)):
        yield Rows(arm, None, uncounted="as many rows as the suites have, which are yet to be built")
    elif files:
        asked = evaluate.questions(params.evaluate)
        found = count(arm, model, evaluate.requests(asked, params.evaluate.sampling), outlook.there(model))
        yield figures(arm, model, "evaluate", found.asked, found.reused, found)
        for judge in sorted({suite.judge for _, suite, _ in asked.values() if suite.kind == "judge"}):
            prompts = [
                sum(text_tokens(text) for _, text in item.messages)
                + text_tokens(Path(suite.rubric).read_text(encoding="utf-8"))
                + (suite.max_tokens or params.evaluate.sampling.max_tokens)
                + TEMPLATE_TOKENS
                for _, suite, item in asked.values()
                if suite.kind == "judge" and suite.judge == judge
            ]
            most = Counted(len(prompts), 0, sum(prompts), len(prompts))
            yield figures(judge, params.models[judge], "evaluate", len(prompts), 0, most, exact=False)
    for name, suite in sorted(suites.items()):
        if isinstance(suite, HarnessSuite):
            yield Rows(arm, None, uncounted=f"{name}: the harness's requests are not counted")
