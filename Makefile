# Two commands need nothing but Python 3.11, git and make; environments come from envs/ on first need.
.PHONY: demo test lint env

demo: env  ## build the sandbox from seed prompts to the report, and print what was kept and learned
	envs/in-env core snakemake --cores all
	envs/in-env core holdfast summary

test: lint  ## everything: format, lint, types, unit, property and whole-workflow tests
	envs/in-env dev pytest

lint:
	envs/in-env dev ruff format --check .
	envs/in-env dev ruff check .
	envs/in-env dev snakefmt --check Snakefile rules
	envs/in-env dev mypy
	envs/in-env dev python tests/lint_rules.py

env:  ## the core environment as .venv, for `source .venv/bin/activate`
	envs/in-env --link
