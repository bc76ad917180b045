# Spin, then park: how a thread waits for another that will probably answer at once.
#
# Waking a sleeping processor costs tens of microseconds. A thread that expects its wait
# to be shorter looks again and again for a bounded time, without the GIL, and sleeps
# only then. It spins while three things hold: recent waits were shorter than a wake-up,
# the machine has a processor for it, and it was not taken off its processor while
# spinning a moment ago. Every decision is counted, for the report.

from libc.stdint cimport int64_t

from bytemlperf._native.posix cimport load_acquire, monotonic_ns, store_release

cdef extern from *:
    """
    #include <poll.h>
    #include <sched.h>
    #include <time.h>
    static inline int bytemlperf_step_aside(int cpu)
    {
        cpu_set_t allowed, others;
        if (cpu < 0 || sched_getaffinity(0, sizeof allowed, &allowed))
            return 0;
        others = allowed;
        CPU_CLR(cpu, &others);
        if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others))
            return 0;
        sched_setaffinity(0, sizeof allowed, &allowed);
        return 1;
    }
    /* Until the descriptor can be read, or so long; -1: without limit. */
    static inline void bytemlperf_wait_readable(int fd, long long timeout_ns)
    {
        struct pollfd wanted = {fd, POLLIN, 0};
        struct timespec limit = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        ppoll(&wanted, 1, timeout_ns < 0 ? NULL : &limit, NULL);
    }
    #if defined(__x86_64__) || defined(__i386__)
    #define bytemlperf_relax() __builtin_ia32_pause()
    #elif defined(__aarch64__)
    #define bytemlperf_relax() __asm__ __volatile__("yield" ::: "memory")
    #else
    #define bytemlperf_relax() __asm__ __volatile__("" ::: "memory")
    #endif
    """
    void relax "bytemlperf_relax"() nogil
    int sched_getcpu() nogil
    void wait_readable "bytemlperf_wait_readable"(int fd, int64_t timeout_ns) nogil
    # Moves the calling thread off that processor, and lets it go anywhere again.
    int step_aside "bytemlperf_step_aside"(int cpu) nogil

cdef enum:
    # About what parking and being woken costs; spinning longer cannot pay.
    SPIN_NS = 50_000
    # A wait in so many is spun for longer although recent ones were long: when both
    # sides park, each sees the other's wake-up, and neither would ever try again.
    PROBE_EVERY = 16
    PROBE_NS = 150_000
    # Between two looks at the clock a spinner that keeps its processor is quicker.
    PREEMPTED_NS = 400_000
    MIN_BARRED_NS = 2_000_000
    MAX_BARRED_NS = 500_000_000
    MIN_BETWEEN_MOVES_NS = 1_000_000


cdef struct Waits:
    # Written by the waiting thread only.
    bint is_allowed             # there is a processor to spin on
    int64_t mean_ns             # recent waits, moving average
    int64_t since_probe         # waits parked without a try, in a row
    int64_t barred_until_ns     # lost its processor while spinning: not before then
    int64_t barred_ns           # how long it is barred the next time
    int64_t hit_count           # what was waited for came while spinning
    int64_t miss_count          # spun for nothing, then parked
    int64_t parked_count        # parked without spinning
    int64_t preempted_count     # lost its processor while spinning
    int64_t spun_ns
    int64_t moved_count         # found itself on the other's processor, and left it
    int64_t moved_ns            # when, the last time


cdef inline int64_t spin_budget(Waits* waits, int64_t now_ns) noexcept nogil:
    """Tell how long to spin now, ns; 0 is to park at once."""
    if not waits.is_allowed or now_ns < waits.barred_until_ns:
        return 0
    if waits.mean_ns < SPIN_NS:
        return SPIN_NS
    waits.since_probe += 1
    if waits.since_probe >= PROBE_EVERY:
        waits.since_probe = 0
        return PROBE_NS
    return 0


cdef inline void note_wait(Waits* waits, int64_t wait_ns) noexcept nogil:
    """Learn how long it took until there was something, ns, without the waking."""
    if wait_ns < 0:
        wait_ns = 0
    elif wait_ns > 8 * SPIN_NS:
        wait_ns = 8 * SPIN_NS   # one long pause must not be remembered for long
    waits.mean_ns += (wait_ns - waits.mean_ns) // 4


cdef inline bint spin_step(
    Waits* waits, int64_t start_ns, int64_t* last_ns, int64_t budget_ns
) noexcept nogil:
    """Let time pass; whether to look again. Called between two looks."""
    cdef int _i
    cdef int64_t now_ns
    for _i in range(4):
        relax()
    now_ns = monotonic_ns()
    if now_ns - last_ns[0] > PREEMPTED_NS:
        # Somebody else needs this processor: spinning here takes it from them.
        waits.preempted_count += 1
        waits.barred_ns = min(max(2 * waits.barred_ns, MIN_BARRED_NS), MAX_BARRED_NS)
        waits.barred_until_ns = now_ns + waits.barred_ns
        last_ns[0] = now_ns
        return False
    last_ns[0] = now_ns
    return now_ns - start_ns < budget_ns


cdef inline void end_spin(
    Waits* waits, int64_t start_ns, int64_t last_ns, bint is_hit
) noexcept nogil:
    """Write down how a spin ended."""
    waits.spun_ns += last_ns - start_ns
    if is_hit:
        waits.hit_count += 1
        waits.barred_ns //= 2
    else:
        waits.miss_count += 1


cdef inline void part_ways(
    Waits* waits, long long* own, long long* other, int64_t now_ns
) noexcept nogil:
    """Leave the processor that the other side was last seen on; own is updated.

    A kernel in a virtual machine may take a sleeping processor for a busy one, and wake
    a thread on its waker's. There the two stay, and each waits while the other spins.
    """
    cdef int cpu
    if not waits.is_allowed:
        return
    cpu = sched_getcpu()
    if (
        cpu + 1 == load_acquire(other)
        and now_ns - waits.moved_ns > MIN_BETWEEN_MOVES_NS
    ):
        waits.moved_ns = now_ns
        if step_aside(cpu):
            waits.moved_count += 1
            cpu = sched_getcpu()
    if own[0] != cpu + 1:
        store_release(own, cpu + 1)


cdef inline bint wait_for_quiet(
    long long* is_running, int64_t limit_ns
) noexcept nogil:
    """Spin while the flag is up, but not longer than that; whether it is down.

    A thread that asks for the GIL while another holds it sleeps at once, and costs the
    holder a system call: better to ask when it has just been given back.
    """
    cdef int64_t start_ns
    cdef int _i
    if not load_acquire(is_running):
        return True
    start_ns = monotonic_ns()
    while load_acquire(is_running):
        if monotonic_ns() - start_ns >= limit_ns:
            return False
        for _i in range(4):
            relax()
    return True
