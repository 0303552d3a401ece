/* What nobody can go below: one send for each socket, in C. */

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

/* Sends data to all; returns the CPU seconds of this process that took, or -1. */
double fan_out(const int *sockets, int count, const void *data, size_t size)
{
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    for (int i = 0; i < count; i++)
        if (send(sockets[i], data, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
            return -1;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    return (after.tv_sec - before.tv_sec) + (after.tv_nsec - before.tv_nsec) / 1e9;
}
