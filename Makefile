# Every target needs only Python 3.11, git, make and libnuma; environments are created when they are first needed.
.PHONY: demo check test lint env

demo: env  ## build the sandbox from seed prompts to the report, and print what was kept and learned
	envs/in-env core snakemake --cores all

check: lint  ## the fast tier: format, lint, types, unit and property tests
	envs/in-env dev pytest -m "not engine and not workflow" -n 2

test: check  ## everything: the fast tier, then real engines and whole workflows
	envs/in-env dev pytest -m "engine or workflow" -n 2 --dist loadgroup

lint:
	envs/in-env dev ruff format --check .
	envs/in-env dev ruff check .
	envs/in-env dev snakefmt --check Snakefile rules
	envs/in-env dev mypy
	envs/in-env dev lint-imports
	envs/in-env dev python tests/lint_rules.py

env:  ## the core environment as .venv, for `source .venv/bin/activate`
	envs/in-env --link
