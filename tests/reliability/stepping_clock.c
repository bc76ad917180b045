/* A wall clock that jumps: every reading is an hour ahead or behind, in turn.
 *
 * Preloaded (LD_PRELOAD) before a command and, as it inherits it, before its workers.
 * Monotonic clocks pass through: what is measured with them must not change.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>

static atomic_uint readings;

static time_t step(void)
{
    return atomic_fetch_add(&readings, 1) % 2 ? 3600 : -3600;
}

int clock_gettime(clockid_t clock, struct timespec *value)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, value);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        value->tv_sec += step();
    return status;
}

int gettimeofday(struct timeval *restrict value, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    int status = clock_gettime(CLOCK_REALTIME, &now);
    if (status == 0) {
        value->tv_sec = now.tv_sec;
        value->tv_usec = now.tv_nsec / 1000;
    }
    return status;
}

time_t time(time_t *value)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return (time_t)-1;
    if (value != NULL)
        *value = now.tv_sec;
    return now.tv_sec;
}
