"""Make docs/samples again: reports of one task, and two pictures of pages.

    python scripts/samples.py                     # measures first, minutes
    python scripts/samples.py --results reports   # from a run of several tasks

Needs the extra "test" and a Chromium; run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "docs" / "samples"
TASK, NAME = "resnet50-tf-fp32", "resnet50-tf-cpu"
OTHERS = "efficientnet-lite0-*,distilbert-tf-fp32,vit-torch-fp32,widedeep-tf-fp32"


def _relative(word: object) -> str:
    """Give a path within the checkout as seen from its top, other words as they are."""
    if isinstance(word, Path) and word.is_relative_to(ROOT):
        return str(word.relative_to(ROOT))
    return str(word)


def bytemlperf(*words: object) -> int:
    """Run the command; a measurement that is not valid is a sample as well."""
    done = subprocess.run(
        # Relative, so that no report tells where this checkout lies.
        [sys.executable, "-m", "bytemlperf", *(_relative(word) for word in words)],
        cwd=ROOT,
        env=os.environ | {"BYTEMLPERF_HISTORY": "off"},
        check=False,
    )
    if done.returncode not in {0, 1, 4}:
        raise SystemExit(done.returncode)
    return done.returncode


def picture(page: Path, selector: str, to: Path) -> None:
    """Take a picture of the top of a page's part, 1148 by 900 pixels at most."""
    sys.path[:0] = [str(ROOT / "tests" / "support")]
    from browser import OpenPage, browser

    with browser() as started:
        size = {"width": 1180, "height": 900}
        opened = OpenPage(started.new_page(viewport=size), page)
        opened.page.locator(selector).first.scroll_into_view_if_needed()
        for plot in opened.page.locator(f"{selector} .plot").all()[:4]:
            key = plot.get_attribute("data-figure")
            plot.scroll_into_view_if_needed()
            opened.page.wait_for_selector(f"[data-figure='{key}'][data-drawn]")
        opened.page.locator(selector).first.evaluate("each => each.scrollIntoView()")
        opened.page.screenshot(path=to)


def main() -> None:
    """Measure if nothing was measured, then write."""
    parser = argparse.ArgumentParser(description="make docs/samples again")
    parser.add_argument("--results", type=Path, help="folder of a run")
    results = parser.parse_args().results
    work = ROOT / "build" / "samples"
    if results is None:
        results = work / "run"
        bytemlperf("--tasks", f"{TASK},{OTHERS}", "--hardware_type", "CPU",
                   "--out", results)  # fmt: skip
    one = results.absolute() / "CPU" / TASK / "result.json"
    bytemlperf("report", one, "--html", "--pdf", "--md", "--out", work / "one")
    bytemlperf("report", results.absolute(), "--html", "--out", work / "all")
    for form in ("html", "pdf", "md"):
        body = (work / "one" / f"report.{form}").read_bytes()
        (SAMPLES / f"{NAME}.{form}").write_bytes(body)
    picture(work / "all" / "report.html", "header", SAMPLES / "report-verdict.png")
    picture(
        work / "one" / "report.html",
        "#tasks .figures",
        SAMPLES / "report-figures.png",
    )


if __name__ == "__main__":
    main()
