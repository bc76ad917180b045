"""Ask a public database for known weaknesses of what is installed: ``make audit``.

pip-audit asks; this says what its answer is worth. Exit code 0: asked, and nothing is
known. 1: there are weaknesses. 3: no audit, because nobody answered. BYTEMLPERF_OSV_URL
names another database that speaks OSV's query protocol, such as one inside a company.
Arguments replace what is audited, such as ``-r requirements.txt``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

INSTALLED = ("--local", "--skip-editable")
FOUND, NO_AUDIT = 1, 3
TIMEOUT_SECONDS = "15"


def ask(what: list[str]) -> tuple[list[dict], str]:
    """Have pip-audit ask.

    Parameters
    ----------
    what : list of str
        Its arguments that choose packages.

    Returns
    -------
    tuple
        An entry for each package, none if there was no answer; and what was said.
    """
    url = os.environ.get("BYTEMLPERF_OSV_URL")
    service = ["-s", "osv", "--osv-url", url] if url else []
    done = subprocess.run(
        [
            sys.executable, "-m", "pip_audit", *what, *service,
            "--format", "json", "--progress-spinner", "off",
            "--timeout", TIMEOUT_SECONDS,
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    try:
        return json.loads(done.stdout)["dependencies"], done.stderr
    except (ValueError, KeyError):
        return [], done.stderr


def main() -> int:
    """Print what is known, and whether anything is."""
    packages, said = ask(sys.argv[1:] or list(INSTALLED))
    skipped = [each["name"] for each in packages if "skip_reason" in each]
    asked = [each for each in packages if "skip_reason" not in each]
    if not asked:
        reason = said.strip().splitlines()[-1:] or ["pip-audit is not installed"]
        if skipped:
            reason = [f"{len(skipped)} packages are unknown to it"]
        print(f"no audit: the database gave no answer ({reason[0]})", file=sys.stderr)
        return NO_AUDIT
    weak = [each for each in asked if each["vulns"]]
    for each in weak:
        for known in each["vulns"]:
            better = ", ".join(known["fix_versions"]) or "no version yet"
            print(
                f"{each['name']} {each['version']}: {known['id']}, mended in {better}"
            )
    print(f"{len(asked)} packages were asked about, {len(weak)} have known weaknesses")
    if skipped:
        print(f"not asked about: {', '.join(sorted(skipped))}")
    return FOUND if weak else 0


if __name__ == "__main__":
    sys.exit(main())
