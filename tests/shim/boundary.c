/* Sits between a program and the kernel (LD_PRELOAD): numbers every call that changes a file below one folder, or that
 * puts a message on a network socket, and does something at one of them. It reads from the environment:
 *
 *   SHIM_DIR     the folder, an absolute path; a call on any other file is left alone and not counted
 *   SHIM_NET     "1": sends on IPv4 and IPv6 sockets count too
 *   SHIM_LOG     a file that gets a line "number kind bytes name" for each call; it must lie outside of SHIM_DIR
 *   SHIM_AT      the number (from 1) of the call at which something happens
 *   SHIM_ACTION  "before", "after": SIGKILL there;  "torn": half of the bytes, then SIGKILL;
 *                a number: the call fails with this errno;  "lie": nothing is done, and success is said
 *   SHIM_LAST    "1": what happens at SHIM_AT happens at each later call too
 *   SHIM_KINDS   only these kinds count, as in "fsync,fdatasync"
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum verdict { PASS, AFTER, TORN, FAIL, LIE };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long count;
static int log_fd = -1;

__attribute__((noreturn)) static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static int set(const char *name, const char *value) {
    const char *found = getenv(name);
    return found && strcmp(found, value) == 0;
}

static int listed(const char *kind) {
    const char *kinds = getenv("SHIM_KINDS");
    if (!kinds) return 1;
    const char *found = strstr(kinds, kind);
    for (; found; found = strstr(found + 1, kind)) {
        char end = found[strlen(kind)];
        if ((found == kinds || found[-1] == ',') && (end == 0 || end == ',')) return 1;
    }
    return 0;
}

/* Numbers a call; dies, or says what is to be done with it. */
static enum verdict count_call(const char *kind, size_t bytes, const char *name) {
    if (!listed(kind)) return PASS;
    pthread_mutex_lock(&lock);
    long number = ++count;
    const char *path = getenv("SHIM_LOG");
    if (path) {
        if (log_fd < 0) log_fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        char line[PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%ld %s %zu %s\n", number, kind, bytes, name);
        if (length > 0) syscall(SYS_write, log_fd, line, (size_t)length);
    }
    pthread_mutex_unlock(&lock);
    const char *at = getenv("SHIM_AT");
    const char *action = getenv("SHIM_ACTION");
    if (!at || !action) return PASS;
    if (number != atol(at) && !(set("SHIM_LAST", "1") && number > atol(at))) return PASS;
    if (strcmp(action, "before") == 0) die();
    if (strcmp(action, "after") == 0) return AFTER;
    if (strcmp(action, "torn") == 0) return TORN;
    if (strcmp(action, "lie") == 0) return LIE;
    errno = atoi(action);
    return FAIL;
}

static int below(const char *path) {
    const char *folder = getenv("SHIM_DIR");
    size_t length = folder ? strlen(folder) : 0;
    return length && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static enum verdict count_fd(const char *kind, int fd, size_t bytes) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int saved = errno;
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (length < 0) return PASS;
    path[length] = 0;
    if (below(path)) return count_call(kind, bytes, strrchr(path, '/') + 1);
    if (set("SHIM_NET", "1") && strncmp(path, "socket:", 7) == 0) {
        struct sockaddr_storage name;
        socklen_t size = sizeof name;
        if (getsockname(fd, (struct sockaddr *)&name, &size) == 0 &&
            (name.ss_family == AF_INET || name.ss_family == AF_INET6))
            return count_call("send", bytes, "socket");
        errno = saved;
    }
    return PASS;
}

static enum verdict count_path(const char *kind, const char *path) {
    char whole[PATH_MAX * 2];
    if (path[0] != '/') {
        if (!getcwd(whole, PATH_MAX)) return PASS;
        strcat(whole, "/");
        strncat(whole, path, PATH_MAX - 1);
        path = whole;
    }
    if (!below(path)) return PASS;
    return count_call(kind, 0, strrchr(path, '/') + 1);
}

/* Does the call as the verdict has it: `half` runs its first half, `whole` all of it. */
#define RUN(type, verdict, half, whole, bytes) \
    switch (verdict) {                         \
        case FAIL: return -1;                  \
        case LIE: return (type)(bytes);        \
        case TORN: half; die();                \
        case AFTER: whole; die();              \
        case PASS: break;                      \
    }                                          \
    return whole

ssize_t write(int fd, const void *data, size_t size) {
    enum verdict verdict = count_fd("write", fd, size);
    RUN(ssize_t, verdict, syscall(SYS_write, fd, data, size / 2), syscall(SYS_write, fd, data, size), size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    enum verdict verdict = count_fd("pwrite", fd, size);
    RUN(ssize_t, verdict, syscall(SYS_pwrite64, fd, data, size / 2, offset),
        syscall(SYS_pwrite64, fd, data, size, offset), size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) { return pwrite(fd, data, size, offset); }

ssize_t writev(int fd, const struct iovec *parts, int number) {
    size_t size = 0;
    for (int i = 0; i < number; i++) size += parts[i].iov_len;
    enum verdict verdict = count_fd("write", fd, size);
    RUN(ssize_t, verdict, syscall(SYS_writev, fd, parts, (number + 1) / 2), syscall(SYS_writev, fd, parts, number),
        size);
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
    enum verdict verdict = count_fd("send", fd, size);
    RUN(ssize_t, verdict, syscall(SYS_sendto, fd, data, size / 2, flags, NULL, 0),
        syscall(SYS_sendto, fd, data, size, flags, NULL, 0), size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    enum verdict verdict = count_fd("send", fd, 0);
    RUN(ssize_t, verdict, (void)0, syscall(SYS_sendmsg, fd, message, flags), 0);
}

int fsync(int fd) {
    enum verdict verdict = count_fd("fsync", fd, 0);
    RUN(int, verdict, (void)0, syscall(SYS_fsync, fd), 0);
}

int fdatasync(int fd) {
    enum verdict verdict = count_fd("fdatasync", fd, 0);
    RUN(int, verdict, (void)0, syscall(SYS_fdatasync, fd), 0);
}

int ftruncate(int fd, off_t size) {
    enum verdict verdict = count_fd("truncate", fd, 0);
    RUN(int, verdict, (void)0, syscall(SYS_ftruncate, fd, size), 0);
}

int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int unlink(const char *path) {
    enum verdict verdict = count_path("unlink", path);
    RUN(int, verdict, (void)0, syscall(SYS_unlinkat, AT_FDCWD, path, 0), 0);
}

int rename(const char *from, const char *to) {
    enum verdict verdict = count_path("rename", to);
    RUN(int, verdict, (void)0, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0), 0);
}
