"""The columns of every table, once. Parquet, read and written with Polars."""

from typing import Any

import polars as pl

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))

PROMPTS: dict[str, Any] = {
    "prompt_id": pl.String,
    "kind": pl.String,  # template | in_context
    "slice": pl.String,
    "language": pl.String,  # null: any
    "system": pl.String,  # null: none
    "samples": pl.Int64,  # how many instructions to draw
    "prefix_text": pl.String,
    "prefix_ids": pl.List(pl.Int32),
    "boundary": pl.String,  # template text between prefix and instruction that the model writes itself
    "suffix_text": pl.String,  # what the template puts after the instruction
    "stop_ids": pl.List(pl.Int32),
    "stop_text": pl.String,  # plain text that ends the user's turn; null: a token does
    "assistant_text": pl.String,
    "marks": pl.List(pl.String),  # special tokens and other template text that no instruction holds
    "rendering": pl.String,  # JSON: what the chat template was given besides messages
}

SAMPLES: dict[str, Any] = {
    "sample_id": pl.String,
    "prompt_id": pl.String,
    "draw": pl.Int64,  # 0, 1, … within the prompt
    "turn": pl.Int64,  # which turn of the user `text` is: 1, 2, …
    "text": pl.String,
    "finish_reason": pl.String,  # stop | length | error
    "prompt_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "logprobs": pl.List(pl.Float64),  # one number: the sum over the tokens written; null where the engine cannot tell
    "request_key": pl.String,
    "error": pl.String,
    "messages": MESSAGES,  # the conversation before this turn, with the system message
}

REJECTED_INSTRUCTIONS = {
    "sample_id": pl.String,  # null: all samples of the instruction
    "instruction_id": pl.String,  # null: never became one
    "prompt_id": pl.String,
    "reason": pl.String,
    "detail": pl.String,
    "instruction": pl.String,
}

# one overlap of a text with a suite or benchmark
OVERLAP = {
    "suite": pl.String,  # its name or file
    "item_id": pl.String,  # the item with the longest span in any user turn
    "items": pl.Int64,  # number of the suite's items that overlap with that turn
    "kind": pl.String,  # exact: the same words; whole: all of the item within a longer text; ngram: a run of words
    "span": pl.String,  # the words in common
}

CONTAMINATION = {"instruction_id": pl.String, **OVERLAP}

INSTRUCTIONS = {
    "instruction_id": pl.String,
    "instruction": pl.String,
    "prompt_id": pl.String,
    "finish_reason": pl.String,
    "slice": pl.String,
    "language": pl.String,
    "system": pl.String,
    "rendering": pl.String,  # JSON: tools and switches that the chat template is given with the messages; null: none
    "messages": MESSAGES,  # the conversation up to and with the turn to answer
    "count": pl.Int64,  # exact duplicates collapsed into this row
    "tokens": pl.Int64,
}

GENERATIONS = {
    "candidate_id": pl.String,
    "instruction_id": pl.String,
    "model": pl.String,
    "sample": pl.Int64,
    "response": pl.String,
    "template_before": pl.String,  # what the model wrote before and after `response` that is its template's text
    "template_after": pl.String,
    "finish_reason": pl.String,
    "prompt_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "seed": pl.Int64,
    "request_key": pl.String,
}

REJECTED_GENERATIONS = {
    "candidate_id": pl.String,
    "instruction_id": pl.String,
    "model": pl.String,
    "sample": pl.Int64,
    "reason": pl.String,  # empty, control_token, prompt_too_long, template_refused, or what the endpoint said
    "detail": pl.String,
    "response": pl.String,
}

SCORES: dict[str, Any] = {
    "candidate_id": pl.String,
    "instruction_id": pl.String,
    "judge": pl.String,
    "score": pl.Float64,  # 1 to 5; null when there is none
    "method": pl.String,  # expected | parse
    "raw": pl.String,
    "valid_mass": pl.Float64,  # probability that fell on valid scores
    "status": pl.String,  # ok | unparsable | error
    "attempts": pl.Int64,
    "finish_reason": pl.String,
    "prompt_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "logprobs": pl.List(pl.Float64),  # expected: of 1 to 5 as the first token
    "request_key": pl.String,  # null for an error
}

SELECTED: dict[str, Any] = {
    "instruction_id": pl.String,
    "instruction": pl.String,
    "response": pl.String,
    "model": pl.String,
    "score": pl.Float64,
    "scores": pl.List(pl.Struct({"judge": pl.String, "score": pl.Float64})),
    "candidate_id": pl.String,
    "candidates": pl.Int64,  # how many were to choose from
    "messages": MESSAGES,
    "system": pl.String,
    "rendering": pl.String,
    "slice": pl.String,
    "language": pl.String,
}

REJECTED_CANDIDATES = {
    "candidate_id": pl.String,  # null: an instruction that no model answered
    "instruction_id": pl.String,
    "model": pl.String,
    "score": pl.Float64,
    "reason": pl.String,
    "detail": pl.String,
    "response": pl.String,
}

ALL_SCORES = {  # one row per candidate and judge
    "candidate_id": pl.String,
    "instruction_id": pl.String,
    "model": pl.String,
    "sample": pl.Int64,
    "judge": pl.String,
    "own": pl.Boolean,  # the judge wrote this candidate
    "score": pl.Float64,
    "valid_mass": pl.Float64,
    "status": pl.String,
    "method": pl.String,
    "attempts": pl.Int64,
}

# what a mixture is drawn from; data/mix/<arm>/train.parquet has these columns but the keys, and `messages`
MIXABLE: dict[str, Any] = {
    "source": pl.String,
    "row_id": pl.String,  # of rehearsal rows the candidate_id
    "slice": pl.String,
    "instruction_id": pl.String,  # rehearsal rows only, as are model and score
    "model": pl.String,
    "score": pl.Float64,
    "licence": pl.String,
    "origin": pl.String,  # file and line
    "conversation": pl.String,  # JSON text of the messages, the answer last
    "tools": pl.String,  # JSON text of the tools on offer
    "content_key": pl.String,  # equal for equal conversations
    "prompt_key": pl.String,  # equal for the same turns up to the last answer
    "questions": pl.List(pl.String),  # every turn of the user
    "tokens": pl.Int64,  # of the whole conversation in the base model's template
    "truncated": pl.Boolean,
}

MIX_REJECTED = {
    "row_id": pl.String,
    "source": pl.String,
    "origin": pl.String,
    "reason": pl.String,
    "detail": pl.String,
    "text": pl.String,  # the conversation, or the malformed row's first 2,000 characters
}

MIX_CONTAMINATION = {
    "row_id": pl.String,
    "source": pl.String,
    "origin": pl.String,
    "action": pl.String,  # rejected; reported: in the mixture; not_drawn: kept, but not in it
    **OVERLAP,
}

EVALUATIONS = {
    "suite": pl.String,
    "task": pl.String,
    "item_id": pl.String,
    "cluster": pl.String,  # items of a suite that share one are not independent; null: the item alone
    "prompt": pl.String,
    "expected": pl.String,
    "answer": pl.String,
    "score": pl.Float64,  # 0 to 1
    "correct": pl.Boolean,
    "finish_reason": pl.String,
}
