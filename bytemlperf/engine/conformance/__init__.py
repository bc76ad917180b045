"""Does a backend keep the contract? Rules that are tried on it, one by one.

Input: a backend and a tiny model in every format. Output: one verdict a rule. Each rule
runs in a worker process, so that one that ends the process costs that rule only.
"""

from bytemlperf.engine.conformance.probe import build_probes
from bytemlperf.engine.conformance.rules import RULES, Rule
from bytemlperf.engine.conformance.trial import check_backend, rule_outcome

__all__ = ["RULES", "Rule", "build_probes", "check_backend", "rule_outcome"]
