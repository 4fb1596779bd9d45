/* Stands for an SD card: fsync and fdatasync take SLOW_FLUSH_US longer. Loaded by LD_PRELOAD. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_for_medium(void)
{
    const char *us = getenv("SLOW_FLUSH_US");
    if (us)
        usleep((useconds_t)atoi(us));
}

int fsync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_for_medium();
    return real(fd);
}

int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_for_medium();
    return real(fd);
}
