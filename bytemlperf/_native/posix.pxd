# What the units take from POSIX and Linux: threads, the monotonic clock, eventfd.
#
# `monotonic_ns` is the native twin of `bytemlperf.runtime.clock.now_ns`: same clock,
# same epoch, callable without the GIL. No other native code reads time.

from libc.stdint cimport int64_t, uint64_t

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int CLOCK_THREAD_CPUTIME_ID
    int TIMER_ABSTIME
    int clock_gettime(int clock, timespec* out)
    int clock_nanosleep(int clock, int flags, const timespec* until, timespec* left)

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    ctypedef struct pthread_condattr_t:
        pass
    int pthread_mutex_init(pthread_mutex_t* mutex, const void* attributes)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_trylock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)
    int pthread_condattr_init(pthread_condattr_t* attributes)
    int pthread_condattr_destroy(pthread_condattr_t* attributes)
    int pthread_condattr_setclock(pthread_condattr_t* attributes, int clock)
    int pthread_cond_init(pthread_cond_t* cond, const pthread_condattr_t* attributes)
    int pthread_cond_destroy(pthread_cond_t* cond)
    int pthread_cond_wait(pthread_cond_t* cond, pthread_mutex_t* mutex)
    int pthread_cond_timedwait(
        pthread_cond_t* cond, pthread_mutex_t* mutex, const timespec* deadline
    )
    int pthread_cond_signal(pthread_cond_t* cond)
    int pthread_cond_broadcast(pthread_cond_t* cond)

cdef extern from "<sys/eventfd.h>" nogil:
    int EFD_CLOEXEC
    int EFD_NONBLOCK
    int eventfd(unsigned int value, int flags)

cdef extern from "<sys/mman.h>" nogil:
    int mlock(const void* address, size_t length)
    int munlock(const void* address, size_t length)

cdef extern from "<stdlib.h>" nogil:
    int posix_memalign(void** out, size_t alignment, size_t size)

cdef extern from *:
    """
    #include <stdio.h>
    #include <stdlib.h>
    /* Compiled in by BYTEMLPERF_DEBUG=1; nothing is left of it otherwise. */
    #if BYTEMLPERF_DEBUG
    #define bytemlperf_invariant(condition, text)                                    \
        do {                                                                         \
            if (!(condition)) {                                                      \
                fprintf(stderr, "bytemlperf invariant broken: %s\\n", text);         \
                abort();                                                             \
            }                                                                        \
        } while (0)
    #else
    #define bytemlperf_invariant(condition, text)                                    \
        ((void)sizeof(condition), (void)(text))
    #endif
    static inline long long bytemlperf_load(const volatile long long *p)
    { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
    static inline void bytemlperf_store(volatile long long *p, long long v)
    { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
    static inline long long bytemlperf_exchange(volatile long long *p, long long v)
    { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); }
    static inline void bytemlperf_fence(void)
    { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    """
    void invariant "bytemlperf_invariant"(bint condition, const char* text) nogil
    long long load_acquire "bytemlperf_load"(long long* where) nogil
    void store_release "bytemlperf_store"(long long* where, long long value) nogil
    long long exchange "bytemlperf_exchange"(long long* where, long long value) nogil
    void full_fence "bytemlperf_fence"() nogil

cdef extern from *:
    """
    #include <sched.h>
    #include <sys/prctl.h>
    /* Of the calling thread: the kernel may fire a timer so much later than asked. */
    static inline void bytemlperf_timer_slack(unsigned long ns)
    { prctl(PR_SET_TIMERSLACK, ns, 0, 0, 0); }
    /* For the calling thread, which ends soon; 0 if granted. */
    static inline int bytemlperf_fifo(void)
    {
        struct sched_param lowest;
        lowest.sched_priority = sched_get_priority_min(SCHED_FIFO);
        return sched_setscheduler(0, SCHED_FIFO, &lowest);
    }
    """
    void request_timer_slack "bytemlperf_timer_slack"(unsigned long ns) nogil
    int request_fifo "bytemlperf_fifo"() nogil


cdef inline int64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef inline int64_t thread_cpu_ns() noexcept nogil:
    cdef timespec used
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used)
    return <int64_t>used.tv_sec * 1000000000 + used.tv_nsec


cdef inline timespec to_timespec(int64_t ns) noexcept nogil:
    cdef timespec out
    out.tv_sec = ns // 1000000000
    out.tv_nsec = ns % 1000000000
    return out


cdef inline int64_t next_power_of_two(int64_t value) noexcept nogil:
    cdef int64_t power = 1
    while power < value:
        power <<= 1
    return power
