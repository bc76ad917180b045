# The targets that people and continuous integration share. They use .venv-test, which
# `bash test.sh` makes, if it is there; PYTHON names another interpreter.
PYTHON ?= $(firstword $(wildcard .venv-test/bin/python) python3)
NATIVE := bytemlperf/_native
.DEFAULT_GOAL := build
.PHONY: build debug test test-debug lint format typecheck bench annotate ci clean
.PHONY: audit sbom faults fuzz soak stress sanitize

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

# The native code under AddressSanitizer and UndefinedBehaviorSanitizer. Python itself is
# not instrumented, so leaks are not looked for.
SANITIZED := $(PYTHON) -m pytest tests/native tests/unit/test_runtime_run.py \
	tests/unit/test_runtime_scheduler.py -p no:cacheprovider -x -q
sanitize: clean-native
	BYTEMLPERF_DEBUG=1 BYTEMLPERF_SANITIZE=address,undefined \
		$(PYTHON) setup.py --quiet build_ext --inplace --force
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1 $(SANITIZED)
	$(MAKE) --no-print-directory build

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

# Known weaknesses of what is installed, and a list of it (CycloneDX). The first asks a
# public database, and says with exit code 3 that nobody answered; the second is checked
# against CycloneDX's own schema. Both need the "audit" extra.
audit:
	$(PYTHON) scripts/audit.py

sbom:
	mkdir -p dist
	$(PYTHON) -m cyclonedx_py environment --output-reproducible --validate \
		--of JSON -o dist/sbom.cdx.json

# How much the reliability suites do by hand; short versions run with the tests.
faults:
	$(PYTHON) tests/reliability/suite.py --tries 5 --network

fuzz:
	$(PYTHON) tests/reliability/fuzz_round.py --seconds 300

soak:
	$(PYTHON) tests/reliability/soak.py load --seconds 600
	$(PYTHON) tests/reliability/soak.py clients

# Threads, cancellation, errors and closing under load, all at once and seeded.
stress:
	$(PYTHON) tests/reliability/stress.py --seconds 600

ci:
	bash .ci/run

.PHONY: clean-native
clean-native:
	rm -f $(NATIVE)/*.so $(NATIVE)/*.c $(NATIVE)/*.html build/native.stamp

clean: clean-native
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
