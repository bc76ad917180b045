cdef int enter_task(object loop, object task) except -1
cdef int leave_task(object loop) except -1
cdef int leave_last_task(object loop) except -1
cdef bint choose_table()
