"""JUnit's XML of a comparison: each metric and each rule of the gate a test.

Input: a `Comparison`. Output: XML. It fails where the command's exit code does: by the
rules of the gate, and by nothing else.
"""

from __future__ import annotations

from xml.etree import ElementTree

from bytemlperf.report.formats.junit import clean_xml
from bytemlperf.report.schema.comparison import Comparison, PointComparison
from bytemlperf.statistics.comparison import MetricComparison

__all__ = ["comparison_junit"]


def comparison_junit(comparison: Comparison) -> bytes:
    """Write a test suite for each point that was compared.

    Parameters
    ----------
    comparison : Comparison
        Of two runs or more.

    Returns
    -------
    bytes
        UTF-8 XML. A metric says its change and verdict as its output, and is skipped if
        that is undecided; a rule that failed is a failure, one that is not shown is
        skipped.
    """
    root = ElementTree.Element("testsuites", name="bytemlperf compare")
    for point in comparison.points:
        root.append(_suite(point, comparison.base))
    ElementTree.indent(root)
    xml: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return xml


def _suite(point: PointComparison, base: str) -> ElementTree.Element:
    where = f"{point.task} on {point.hardware_type}"
    suite = ElementTree.Element(
        "testsuite",
        name=clean_xml(f"{where}, {point.point}: {point.run} against {base}"),
    )
    class_name = clean_xml(f"{point.hardware_type}.{point.task}.{point.point}")
    counts = {"failures": 0, "errors": 0, "skipped": 0}

    def case(name: str) -> ElementTree.Element:
        return ElementTree.SubElement(
            suite, "testcase", name=clean_xml(name), classname=class_name, time="0"
        )

    for metric in point.metrics:
        test, said = case(metric.metric), _said(metric)
        if metric.verdict == "undecided":
            counts["skipped"] += 1
            ElementTree.SubElement(test, "skipped", message=said)
        ElementTree.SubElement(test, "system-out").text = said
    for outcome in point.gate:
        test = case(f"gate {outcome.rule}")
        reason = clean_xml(outcome.reason)
        if outcome.verdict == "failed":
            counts["failures"] += 1
            ElementTree.SubElement(test, "failure", type="gate", message=reason)
        elif outcome.verdict == "not shown":
            counts["skipped"] += 1
            ElementTree.SubElement(test, "skipped", message=reason)
        else:
            ElementTree.SubElement(test, "system-out").text = reason
    suite.set("tests", str(len(suite)))
    for name, count in counts.items():
        suite.set(name, str(count))
    return suite


def _said(metric: MetricComparison) -> str:
    if metric.ratio is None:
        return f"{metric.verdict}: too few queries, needs {metric.needed_count}"
    interval = ""
    if metric.low is not None and metric.high is not None:
        interval = f" [{metric.low - 1:+.1%}, {metric.high - 1:+.1%}]"
    p_value = metric.corrected_p_value
    chance = "" if p_value is None else f", p {p_value:.2g}"
    return f"{metric.verdict}: {metric.ratio - 1:+.1%}{interval}{chance}"
