# On a fresh clone; what they install goes into .venv, and is installed again when pyproject.toml changes.
#
#   make demo    the whole tool on this machine, without root: deploys under load, refused releases, a rollback
#   make test    the tests; what this machine lacks for some of them is named, and they are skipped
#   make check   ruff, mypy and shellcheck
#   make bench   what it costs, beside rsync and Capistrano; writes docs/benchmarks.md (ONLY=lean: one section)
#   make chaos   a random walk: any commands on any hosts while anything goes wrong (SECONDS=600 SEED=1)
#   make often   what the tests do a few times, often: fifty power cuts each, a thousand races
#   make faults  every step of every command meets every fault, in up to an hour; writes docs/faults.md (root, for its mounts and hosts)

PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)
INSTALL := .venv/bin/python -m pip install -qq --disable-pip-version-check

SECONDS := 600

.PHONY: demo test check bench chaos often faults
.DELETE_ON_ERROR:

demo: .venv/demo
	@.venv/bin/inv demo

test: .venv/test
	.venv/bin/pytest -n 3

faults: SEED ?= 1
faults: .venv/test
	.venv/bin/pytest tests/faults/test_matrix.py tests/fleet/test_reboot.py --whole --seed $(SEED) -n 3 --table docs/faults.md

check: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy --strict
	shellcheck -s sh -S warning templates/session/*.sh
	shellcheck .ci/run

bench: .venv/test
	.venv/bin/python bench/speed.py $(ONLY)

chaos: .venv/test
	.venv/bin/python -u -m tests.chaos.walk $(SECONDS) $(SEED)

often: .venv/test
	CUTS=50 RACES=1000 .venv/bin/pytest tests/chaos/test_powercut.py tests/scripts/test_race.py

.venv/bin/python:
	$(if $(PYTHON),,$(error Python 3.11 or later is needed; python3 is older or missing))
	$(PYTHON) -m venv .venv

.venv/%: pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.[$*]'
	@touch $@
