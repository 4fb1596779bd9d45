/* Stands before umockdev's preload library (LD_PRELOAD="umockdev_guard.so libumockdev-preload.so.0") and takes three of
 * its faults away, which end a program of threads before which devices come and go [umockdev 0.17.16,
 * src/libumockdev-preload.c and src/uevent_sender.c]:
 *
 *   stat       asserts that a node's link is still there after it has looked at it, and reads the link's name from a
 *              buffer that all threads share: both end in abort(). Here a node is looked at with nothing shared.
 *   open       of a node that went meanwhile leaves a socket open and one of fifty places taken, for ever; two threads may
 *              take one place. Here opening is one at a time, and what failed is given back.
 *   sendmsg    of an event aborts where its receiver has ten unread (net.unix.max_dgram_qlen). With UMOCKDEV_GUARD_WAITS
 *              it waits for room.
 *
 * A path below /dev that is none of the testbed's (a pty) is the system's own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <unistd.h>

#define ROOM_MS 10000

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

#define NEXT(name, ...) \
    static int (*next)(__VA_ARGS__); \
    if (next == NULL) next = (int (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int is_node(const char *path)
{
    return path != NULL && strncmp(path, "/dev/", 5) == 0 && getenv("UMOCKDEV_DIR") != NULL;
}

/* Where the testbed has this node; whether it has it now. */
static int is_emulated(const char *path, char *place)
{
    struct stat found;
    snprintf(place, PATH_MAX, "%s%s", getenv("UMOCKDEV_DIR"), path);
    return syscall(SYS_newfstatat, AT_FDCWD, place, &found, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The number that a node has in its testbed: a link beside it reads "major:minor". */
static dev_t number_of(const char *path)
{
    char link[PATH_MAX], number[32];
    unsigned major, minor;
    int start = snprintf(link, sizeof link, "%s/dev/.node/", getenv("UMOCKDEV_DIR"));
    snprintf(link + start, sizeof link - start, "%s", path + 5);
    for (char *each = link + start; *each; each++)
        if (*each == '/')
            *each = '_';
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, number, sizeof number - 1);
    number[length > 0 ? length : 0] = '\0';
    return sscanf(number, "%u:%u", &major, &minor) == 2 ? makedev(major, minor) : 0;
}

static int look(const char *path, struct stat *found, int flags)
{
    char place[PATH_MAX], target[PATH_MAX];
    if (!is_emulated(path, place))
        return syscall(SYS_newfstatat, AT_FDCWD, path, found, flags);
    if (syscall(SYS_newfstatat, AT_FDCWD, place, found, flags) != 0)
        return -1;
    int is_device = !S_ISDIR(found->st_mode);
    if (S_ISLNK(found->st_mode)) {
        ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, place, target, sizeof target - 1);
        if (length < 0)
            return -1;
        target[length] = '\0';
        is_device = strncmp(target, "/dev/", 5) == 0; /* a pty; any other link is one */
    }
    if (is_device) {
        found->st_mode = S_IFCHR | (found->st_mode & 07777);
        found->st_rdev = number_of(path);
    }
    return 0;
}

/* On a 64-bit system both kinds of struct stat are one. */
#define STAT(name, kind, flags) \
    int name(const char *path, struct kind *found) \
    { \
        NEXT(#name, const char *, struct kind *); \
        return is_node(path) ? look(path, (struct stat *)found, flags) : next(path, found); \
    }

STAT(stat, stat, 0)
STAT(stat64, stat64, 0)
STAT(lstat, stat, AT_SYMLINK_NOFOLLOW)
STAT(lstat64, stat64, AT_SYMLINK_NOFOLLOW)

#define FSTATAT(name, kind) \
    int name(int folder, const char *path, struct kind *found, int flags) \
    { \
        NEXT(#name, int, const char *, struct kind *, int); \
        return is_node(path) ? look(path, (struct stat *)found, flags) : next(folder, path, found, flags); \
    }

FSTATAT(fstatat, stat)
FSTATAT(fstatat64, stat64)

/* What umockdev's own opening holds for a descriptor is under that number, and under -1 after a failure. */
static int open_node(int (*next)(const char *, int, ...), const char *path, int flags, mode_t mode)
{
    char place[PATH_MAX];
    if (!is_emulated(path, place))
        return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    pthread_mutex_lock(&opening);
    int fd = next(path, flags, mode), error = errno;
    if (fd < 0)
        close(-1);
    pthread_mutex_unlock(&opening);
    errno = error;
    return fd;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        NEXT(#name, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return is_node(path) ? open_node(next, path, flags, mode) : next(path, flags, mode); \
    }

OPEN(open)
OPEN(open64)

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static ssize_t (*next)(int, const struct msghdr *, int);
    if (next == NULL)
        next = (ssize_t(*)(int, const struct msghdr *, int))dlsym(RTLD_NEXT, "sendmsg");
    ssize_t count = next(fd, message, flags);
    while (count < 0 && errno == EAGAIN && getenv("UMOCKDEV_GUARD_WAITS") != NULL) {
        struct pollfd room = {.fd = fd, .events = POLLOUT};
        if (poll(&room, 1, ROOM_MS) <= 0)
            break;
        count = next(fd, message, flags);
    }
    return count;
}
