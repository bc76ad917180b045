# The targets that people and continuous integration share. They use .venv-test, which
# `bash test.sh` makes, if it is there; PYTHON names another interpreter.
PYTHON ?= $(firstword $(wildcard .venv-test/bin/python) python3)
NATIVE := bytemlperf/_native
.DEFAULT_GOAL := build
.PHONY: build debug test test-debug lint format typecheck bench annotate ci clean

# Flags do not show in timestamps, so both builds start from nothing; the stamp goes so
# that run.sh and test.sh build again for themselves.
build: clean-native
	$(PYTHON) setup.py --quiet build_ext --inplace

debug: clean-native
	BYTEMLPERF_DEBUG=1 $(PYTHON) setup.py --quiet build_ext --inplace

test:
	$(PYTHON) -m pytest

test-debug: debug
	$(PYTHON) -m pytest tests/native

lint:
	bash scripts/lint.sh $(PYTHON)

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

typecheck:
	$(PYTHON) -m mypy

bench: build
	$(PYTHON) -m benchmarks $(BENCH)

annotate:
	$(PYTHON) -m cython -3 --annotate $(NATIVE)/*.pyx
	@echo "see $(NATIVE)/*.html"

ci:
	bash .ci/run

.PHONY: clean-native
clean-native:
	rm -f $(NATIVE)/*.so $(NATIVE)/*.c $(NATIVE)/*.html build/native.stamp

clean: clean-native
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
