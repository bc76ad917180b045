"""What a worker inherits of the environment: everything but secrets.

Input: environment variables. Output: those that a vendor's code may see. A worker runs
code that others wrote, and its log is shown to people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["PASS_VARIABLE", "without_secrets"]

# Names of variables that a backend needs all the same, separated by commas.
PASS_VARIABLE = "BYTEMLPERF_PASS_ENV"
SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|CREDENTIAL|COOKIE|PRIVATE|"
    r"(^|_)(API|ACCESS|AUTH|SSH|GPG|SIGNING|ENCRYPTION|ACCOUNT|LICENSE|LICENCE)_?KEY|"
    r"(^|_)(AUTH|PAT|DSN)($|_)|CONNECTION_STRING|_PROXY$",
    re.IGNORECASE,
)


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Leave out what looks like a secret, by its name.

    Parameters
    ----------
    variables : mapping of str to str
        Such as ``os.environ``. `PASS_VARIABLE` in it names exceptions.

    Returns
    -------
    dict of str to str
        Tokens, passwords, keys, cookies and proxies (their addresses hold passwords)
        are gone.
    """
    wanted = {name.strip() for name in variables.get(PASS_VARIABLE, "").split(",")}
    return {
        name: value
        for name, value in variables.items()
        if name in wanted or not SECRET.search(name)
    }
