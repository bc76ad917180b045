"""Which task is the current one of a loop, as `asyncio.current_task` tells it.

There is no public interface to set it. Up to Python 3.13 it is an entry of a table;
from 3.12 on there is a function that swaps it.

A drain resumes thousands of tasks one after another. An entry that stays between two
of them, and is taken out at the end, costs half of one that is made and taken out each
time. So a task that a drain resumes is entered and not left; whoever lets other code
run in between, or ends the drain, calls `leave_last_task`.
"""

from cpython.dict cimport PyDict_Contains, PyDict_DelItem, PyDict_SetItem, PyDict_Size

import asyncio
import sys

cdef dict table = None      # loop: task, where there is such a table
cdef object swap = None     # or the function that replaces it


cdef bint choose_table():
    """Look for a way; whether there is one."""
    global table, swap
    found = getattr(asyncio.tasks, "_current_tasks", None)
    if type(found) is dict and sys.version_info < (3, 14):
        table = found
        return True
    swap = getattr(asyncio.tasks, "_swap_current_task", None)
    return swap is not None


cdef int enter_task(object loop, object task) except -1:
    """Make the task the loop's current one."""
    if table is not None:
        PyDict_SetItem(table, loop, task)
    else:
        swap(loop, task)
    return 0


cdef int leave_task(object loop) except -1:
    """Let the loop have no current task."""
    if table is not None:
        PyDict_DelItem(table, loop)
    else:
        swap(loop, None)
    return 0


cdef int leave_last_task(object loop) except -1:
    """The same, if there is a task; only in a plain callback of the loop."""
    if table is None:
        if swap is not None:
            swap(loop, None)
    elif PyDict_Size(table) and PyDict_Contains(table, loop):
        PyDict_DelItem(table, loop)
    return 0
