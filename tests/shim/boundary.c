/* Sits between a program and the kernel (LD_PRELOAD): numbers every call that changes a file below one folder, or that
 * puts a message on a network socket, and does something at one of them. It reads from the environment:
 *
 *   SHIM_DIR       the folder, an absolute path; a call on any other file is left alone and not counted
 *   SHIM_NET       "1": sends on IPv4 and IPv6 sockets count too
 *   SHIM_LOG       a file that gets a line "number kind bytes name" for each call; it must lie outside of SHIM_DIR
 *   SHIM_TOLD      a file that gets a line "number kind nanoseconds name" (CLOCK_MONOTONIC) for each call that was failed
 *   SHIM_TRACE     a file that gets each call with its bytes, and all that goes to standard output, in the order in which
 *                  it happened (`tests.shim.trace` reads it); the calls then run one at a time
 *   SHIM_AT        the number (from 1) of the call at which something happens
 *   SHIM_ACTION    "before", "after": SIGKILL there;  "torn": half of the bytes, then SIGKILL;
 *                  a number: the call fails with this errno;  "short": a write does half of its bytes and says so;
 *                  "lie": nothing is done, and success is said
 *   SHIM_LAST      "1": what happens at SHIM_AT happens at each later call too
 *   SHIM_KINDS     only these kinds count, as in "fsync,fdatasync"; "open" and "allocate" count only where they are named
 *   SHIM_NAME      only files whose name begins so count
 *   SHIM_FLUSH_US  each fsync and fdatasync of the process takes so much longer, as on an SD card
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum verdict { PASS, AFTER, TORN, SHORT, FAIL, LIE };

/* One call that was asked for: where, and what is to become of it. */
struct call {
    enum verdict verdict;
    int traced;
    char path[PATH_MAX];
};

/* What a line of the trace begins with; the path and the data follow. */
struct __attribute__((packed)) line {
    uint8_t kind;
    uint8_t outcome; /* 0, an errno, or 255 for a lie */
    uint16_t path_length;
    uint32_t data_length;
    uint64_t inode;
    uint64_t offset;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t trace_lock = PTHREAD_MUTEX_INITIALIZER;
static long count;
static int log_fd = -1, told_fd = -1, trace_fd = -1;

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
    if (!kinds) return strcmp(kind, "open") != 0 && strcmp(kind, "allocate") != 0;
    const char *found = strstr(kinds, kind);
    for (; found; found = strstr(found + 1, kind)) {
        char end = found[strlen(kind)];
        if ((found == kinds || found[-1] == ',') && (end == 0 || end == ',')) return 1;
    }
    return 0;
}

static int open_report(const char *path) {
    return syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void tell(long number, const char *kind, const char *name) {
    const char *path = getenv("SHIM_TOLD");
    if (!path) return;
    if (told_fd < 0) told_fd = open_report(path);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char text[PATH_MAX + 64];
    int length = snprintf(text, sizeof text, "%ld %s %lld %s\n", number, kind,
                          (long long)now.tv_sec * 1000000000 + now.tv_nsec, name);
    if (length > 0) syscall(SYS_write, told_fd, text, (size_t)length);
}

/* Numbers a call; dies, or says what is to be done with it. */
static enum verdict count_call(const char *kind, size_t bytes, const char *name) {
    const char *wanted = getenv("SHIM_NAME");
    if (!listed(kind) || (wanted && strncmp(name, wanted, strlen(wanted)) != 0)) return PASS;
    pthread_mutex_lock(&lock);
    long number = ++count;
    const char *path = getenv("SHIM_LOG");
    if (path) {
        if (log_fd < 0) log_fd = open_report(path);
        char text[PATH_MAX + 64];
        int length = snprintf(text, sizeof text, "%ld %s %zu %s\n", number, kind, bytes, name);
        if (length > 0) syscall(SYS_write, log_fd, text, (size_t)length);
    }
    pthread_mutex_unlock(&lock);
    const char *at = getenv("SHIM_AT");
    const char *action = getenv("SHIM_ACTION");
    if (!at || !action) return PASS;
    if (number != atol(at) && !(set("SHIM_LAST", "1") && number > atol(at))) return PASS;
    if (strcmp(action, "before") == 0) die();
    if (strcmp(action, "after") == 0) return AFTER;
    if (strcmp(action, "torn") == 0) return TORN;
    if (strcmp(action, "short") == 0) {
        if (bytes < 2) return PASS;
        tell(number, kind, name);
        return SHORT;
    }
    tell(number, kind, name);
    if (strcmp(action, "lie") == 0) return LIE;
    errno = atoi(action);
    return FAIL;
}

static int below(const char *path) {
    const char *folder = getenv("SHIM_DIR");
    size_t length = folder ? strlen(folder) : 0;
    return length && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* --- the trace ---------------------------------------------------------------------------------------------------- */

static void begin_trace(struct call *call) {
    call->traced = getenv("SHIM_TRACE") != NULL;
    if (call->traced) pthread_mutex_lock(&trace_lock);
}

static void put_trace(const struct call *call, char kind, int outcome, uint64_t inode, uint64_t offset,
                      const void *data, size_t size) {
    if (trace_fd < 0) trace_fd = open_report(getenv("SHIM_TRACE"));
    size_t path_length = strlen(call->path);
    struct line line = {(uint8_t)kind, (uint8_t)outcome, (uint16_t)path_length, (uint32_t)size, inode, offset};
    struct iovec parts[] = {
        {&line, sizeof line}, {(void *)(uintptr_t)call->path, path_length}, {(void *)(uintptr_t)data, size}};
    syscall(SYS_writev, trace_fd, parts, 3);
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 ? (uint64_t)found.st_ino : 0;
}

/* Notes what a call on a descriptor came to, and lets the next one run. */
static void end_trace(struct call *call, char kind, int fd, long result, uint64_t offset, const void *data) {
    if (!call->traced) return;
    int saved = errno;
    int outcome = call->verdict == LIE ? 255 : result < 0 ? saved : 0;
    if (call->verdict != TORN || result >= 0) /* else it was never done: the process dies before */
        put_trace(call, kind, outcome, fd < 0 ? 0 : inode_of(fd), offset, data, data && !outcome ? (size_t)result : 0);
    pthread_mutex_unlock(&trace_lock);
    errno = saved;
}

static void skip_trace(struct call *call) {
    if (call->traced) pthread_mutex_unlock(&trace_lock);
}

/* --- which calls count -------------------------------------------------------------------------------------------- */

/* Whether a call on a descriptor is looked at; a trace is then begun and wants its end. */
static int meet_fd(struct call *call, const char *kind, int fd, size_t bytes) {
    char link[64];
    call->verdict = PASS;
    call->traced = 0;
    if (!getenv("SHIM_DIR")) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int saved = errno;
    ssize_t length = readlink(link, call->path, sizeof call->path - 1);
    errno = saved;
    if (length < 0) return 0;
    call->path[length] = 0;
    if (below(call->path)) {
        begin_trace(call);
        call->verdict = count_call(kind, bytes, strrchr(call->path, '/') + 1);
        return 1;
    }
    if (set("SHIM_NET", "1") && strncmp(call->path, "socket:", 7) == 0) {
        struct sockaddr_storage name;
        socklen_t size = sizeof name;
        if (getsockname(fd, (struct sockaddr *)&name, &size) == 0 &&
            (name.ss_family == AF_INET || name.ss_family == AF_INET6))
            call->verdict = count_call("send", bytes, "socket");
        else
            errno = saved;
    }
    return 0;
}

static int meet_path(struct call *call, const char *kind, int folder, const char *path) {
    call->verdict = PASS;
    call->traced = 0;
    if (!getenv("SHIM_DIR")) return 0;
    int length = 0;
    if (path[0] != '/') {
        char link[64];
        if (folder == AT_FDCWD)
            strcpy(link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        length = (int)readlink(link, call->path, sizeof call->path - 1);
        if (length < 0) return 0;
        call->path[length++] = '/';
    }
    snprintf(call->path + length, sizeof call->path - (size_t)length, "%s", path);
    if (!below(call->path)) return 0;
    begin_trace(call);
    call->verdict = count_call(kind, 0, strrchr(call->path, '/') + 1);
    return 1;
}

/* Does the call as its verdict has it: `half` runs its first half, `whole` all of it, `lie` says that it did. Whether
 * the process is to die is asked of `dying`, once the call is noted. */
#define RUN(result, call, half, whole, lie)             \
    do {                                                \
        switch ((call).verdict) {                       \
            case FAIL: result = -1; break;              \
            case LIE: result = (lie); break;            \
            case TORN: case SHORT: result = (half); break; \
            default: result = (whole); break;           \
        }                                               \
        dying = (call).verdict == TORN || (call).verdict == AFTER; \
    } while (0)

/* Half of a call that has no halves: it was not done. */
#define NOTHING (errno = EINTR, -1)

/* --- writes ------------------------------------------------------------------------------------------------------- */

static uint64_t written_at(int fd, ssize_t size) {
    off_t now = lseek(fd, 0, SEEK_CUR);
    return now < size ? 0 : (uint64_t)(now - size);
}

ssize_t write(int fd, const void *data, size_t size) {
    struct call call;
    ssize_t result;
    int dying;
    if (fd == 1 && getenv("SHIM_TRACE")) {
        strcpy(call.path, "");
        begin_trace(&call);
        result = syscall(SYS_write, fd, data, size);
        if (result > 0) put_trace(&call, 's', 0, 0, 0, data, (size_t)result);
        skip_trace(&call);
        return result;
    }
    int met = meet_fd(&call, "write", fd, size);
    RUN(result, call, syscall(SYS_write, fd, data, size / 2), syscall(SYS_write, fd, data, size), (ssize_t)size);
    if (met) end_trace(&call, 'w', fd, result, call.traced ? written_at(fd, result) : 0, data);
    if (dying) die();
    return result;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    struct call call;
    ssize_t result;
    int dying;
    int met = meet_fd(&call, "pwrite", fd, size);
    RUN(result, call, syscall(SYS_pwrite64, fd, data, size / 2, offset),
        syscall(SYS_pwrite64, fd, data, size, offset), (ssize_t)size);
    if (met) end_trace(&call, 'w', fd, result, (uint64_t)offset, data);
    if (dying) die();
    return result;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) { return pwrite(fd, data, size, offset); }

ssize_t writev(int fd, const struct iovec *parts, int number) {
    size_t size = 0;
    for (int i = 0; i < number; i++) size += parts[i].iov_len;
    char *whole = malloc(size ? size : 1);
    if (!whole) return -1;
    size_t at = 0;
    for (int i = 0; i < number; i++) {
        memcpy(whole + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    ssize_t result = write(fd, whole, size);
    free(whole);
    return result;
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
    struct call call;
    ssize_t result;
    int dying;
    meet_fd(&call, "send", fd, size);
    RUN(result, call, syscall(SYS_sendto, fd, data, size / 2, flags, NULL, 0),
        syscall(SYS_sendto, fd, data, size, flags, NULL, 0), (ssize_t)size);
    if (dying) die();
    return result;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    struct call call;
    ssize_t result;
    int dying;
    meet_fd(&call, "send", fd, 0);
    RUN(result, call, NOTHING, syscall(SYS_sendmsg, fd, message, flags), 0);
    if (dying) die();
    return result;
}

/* --- flushes, sizes ----------------------------------------------------------------------------------------------- */

static int flush(const char *kind, long number, int fd) {
    struct call call;
    int result, dying;
    const char *us = getenv("SHIM_FLUSH_US");
    if (us) usleep((useconds_t)atoi(us));
    int met = meet_fd(&call, kind, fd, 0);
    RUN(result, call, NOTHING, (int)syscall(number, fd), 0);
    if (met) end_trace(&call, 'f', fd, result, 0, NULL);
    if (dying) die();
    return result;
}

int fsync(int fd) { return flush("fsync", SYS_fsync, fd); }

int fdatasync(int fd) { return flush("fdatasync", SYS_fdatasync, fd); }

int ftruncate(int fd, off_t size) {
    struct call call;
    int result, dying;
    int met = meet_fd(&call, "truncate", fd, 0);
    RUN(result, call, NOTHING, (int)syscall(SYS_ftruncate, fd, size), 0);
    if (met) end_trace(&call, 't', fd, result, (uint64_t)size, NULL);
    if (dying) die();
    return result;
}

int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fallocate(int fd, int mode, off_t offset, off_t size) {
    struct call call;
    int result, dying;
    int met = meet_fd(&call, "allocate", fd, 0);
    RUN(result, call, NOTHING, (int)syscall(SYS_fallocate, fd, mode, offset, size), 0);
    struct stat found;
    if (met) end_trace(&call, 't', fd, result, fstat(fd, &found) == 0 ? (uint64_t)found.st_size : 0, NULL);
    if (dying) die();
    return result;
}

int fallocate64(int fd, int mode, off_t offset, off_t size) { return fallocate(fd, mode, offset, size); }

int posix_fallocate(int fd, off_t offset, off_t size) {
    int saved = errno;
    int result = fallocate(fd, 0, offset, size) == 0 ? 0 : errno;
    errno = saved;
    return result;
}

int posix_fallocate64(int fd, off_t offset, off_t size) { return posix_fallocate(fd, offset, size); }

/* --- names -------------------------------------------------------------------------------------------------------- */

int openat(int folder, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    struct call call;
    int result, dying;
    int met = meet_path(&call, "open", folder, path);
    struct stat before;
    int saved = errno;
    int was_there = !call.traced || fstatat(folder, path, &before, 0) == 0;
    errno = saved;
    RUN(result, call, NOTHING, (int)syscall(SYS_openat, folder, path, flags, mode),
        (int)syscall(SYS_openat, folder, path, flags, mode));
    if (met && call.traced && result >= 0 && (!was_there || flags & O_TRUNC))
        end_trace(&call, was_there ? 't' : 'c', result, result, 0, NULL);
    else if (met)
        skip_trace(&call);
    if (dying) die();
    return result;
}

#define OPEN(folder)                                                             \
    va_list arguments;                                                           \
    va_start(arguments, flags);                                                  \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0; \
    va_end(arguments);                                                           \
    return openat(folder, path, flags, mode)

int open(const char *path, int flags, ...) { OPEN(AT_FDCWD); }
int open64(const char *path, int flags, ...) { OPEN(AT_FDCWD); }
int openat64(int folder, const char *path, int flags, ...) { OPEN(folder); }
int creat(const char *path, mode_t mode) { return openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int unlinkat(int folder, const char *path, int flags) {
    struct call call;
    int result, dying;
    int met = meet_path(&call, "unlink", folder, path);
    RUN(result, call, NOTHING, (int)syscall(SYS_unlinkat, folder, path, flags), 0);
    if (met) end_trace(&call, 'u', -1, result, 0, NULL);
    if (dying) die();
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    struct call call;
    int result, dying;
    int met = meet_path(&call, "rename", to_folder, to);
    RUN(result, call, NOTHING, (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags), 0);
    if (met && call.traced) {
        int saved = errno;
        const char *name = strrchr(from, '/') ? strrchr(from, '/') + 1 : from;
        int outcome = call.verdict == LIE ? 255 : result < 0 ? saved : 0;
        put_trace(&call, 'r', outcome, 0, 0, name, strlen(name));
        errno = saved;
    }
    if (met) skip_trace(&call);
    if (dying) die();
    return result;
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return renameat2(from_folder, from, to_folder, to, 0);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
