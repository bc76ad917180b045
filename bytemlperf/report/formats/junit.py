"""JUnit's XML: each point a test, so that a CI system shows what is not valid.

Input: collected results. Output: XML.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from bytemlperf.report.collect import Collected
from bytemlperf.report.plain_text import clean_text
from bytemlperf.report.point_names import point_names

__all__ = ["clean_xml", "to_junit"]


def to_junit(collected: Sequence[Collected]) -> bytes:
    """Write a test suite for each result.

    Parameters
    ----------
    collected : sequence of Collected
        Any results.

    Returns
    -------
    bytes
        UTF-8 XML. An invalid point is a failure, what broke is an error, a batch size
        that was left out is skipped.
    """
    root = ElementTree.Element("testsuites", name="bytemlperf")
    for each in collected:
        root.append(_suite(each))
    ElementTree.indent(root)
    xml: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return xml


def _suite(each: Collected) -> ElementTree.Element:
    result = each.result
    suite = ElementTree.Element(
        "testsuite",
        name=clean_xml(f"{each.run}: {result.task} on {result.hardware_type}"),
    )
    class_name = clean_xml(f"{result.hardware_type}.{result.task}")
    counts = {"failures": 0, "errors": 0, "skipped": 0}

    def case(name: str, seconds: float = 0.0) -> ElementTree.Element:
        return ElementTree.SubElement(
            suite,
            "testcase",
            name=clean_xml(name),
            classname=class_name,
            time=f"{seconds:.3f}",
        )

    for name, point in zip(point_names(result.points), result.points, strict=True):
        test = case(name, point.window_ns / 1e9)
        if point.invalid_reasons:
            counts["failures"] += 1
            reasons = clean_xml("; ".join(point.invalid_reasons))
            ElementTree.SubElement(test, "failure", type="INVALID", message=reasons)
    for skipped in result.skipped:
        counts["skipped"] += 1
        test = case(f"batch {skipped.batch_size}")
        ElementTree.SubElement(test, "skipped", message=clean_xml(skipped.reason))
    for failure in result.failures:
        counts["errors"] += 1
        size = "" if failure.batch_size is None else f", batch {failure.batch_size}"
        test = case(f"{failure.phase}{size}")
        error = ElementTree.SubElement(
            test,
            "error",
            type=clean_xml(failure.kind),
            message=clean_xml(failure.message),
        )
        details = filter(None, [failure.detail, failure.log_tail])
        error.text = clean_xml("\n".join(details))
    suite.set("tests", str(len(suite)))
    for name, count in counts.items():
        suite.set(name, str(count))
    return suite


def clean_xml(text: str) -> str:
    """Return text without the characters that XML cannot hold.

    Parameters
    ----------
    text : str
        Any.

    Returns
    -------
    str
        The rest.
    """
    cleaned = clean_text(text).encode("utf-8", "replace").decode()
    return cleaned.replace("\ufffe", "").replace("\uffff", "")
