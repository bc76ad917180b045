"""Call a vendor's method, and name it in whatever goes wrong.

Input: a bound call. Output: what it returned, or an error of ours with its cause.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bytemlperf.errors import BackendError

__all__ = ["vendor_call"]

Result = TypeVar("Result")


def vendor_call(
    hardware_type: str,
    method: str,
    call: Callable[[], Result],
    error_type: type[BackendError] = BackendError,
) -> Result:
    """Call a vendor's method; name it in whatever goes wrong.

    Parameters
    ----------
    hardware_type, method : str
        Named in the error.
    call : callable
        The bound call.
    error_type : type of BackendError
        What a failure is raised as.

    Returns
    -------
    Result
        What the method returned.

    Raises
    ------
    BackendError
        The method raised; its exception is the cause.
    """
    try:
        return call()
    except BackendError:
        raise
    except Exception as error:
        # A vendor's code raises anything; whose call it was is what has to be known.
        raise error_type(
            f"{hardware_type}.{method} raised {type(error).__name__}: {error}"
        ) from error
