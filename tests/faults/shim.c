/* Preloaded: the calls by which a process changes what lies under one folder can be counted, and made to fail.

   arm(folder, n, error, once): from now on the n-th such call fails with `error`, and those after it, unless `once`.
   n = 0: none fails. counted(): calls since then. A write that fails has written half of what it was given before. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static int fails_at, failure, only_once, calls;

void arm(const char *path, int n, int error, int once) {
    strncpy(folder, path, PATH_MAX - 1);
    fails_at = n, failure = error, only_once = once, calls = 0;
}

int counted(void) { return calls; }

static int under(const char *path) {
    char full[2 * PATH_MAX + 1], here[PATH_MAX];
    if (!folder[0] || !path) return 0;
    if (path[0] != '/') {
        if (!getcwd(here, sizeof here)) return 0;
        snprintf(full, sizeof full, "%s/%s", here, path);
        path = full;
    }
    return strncmp(path, folder, strlen(folder)) == 0;
}

static int under_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!folder[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return under(path);
}

/* Whether this call, which changes something there, is to fail. Permission is asked for by name alone, and neither to
   shorten nor to take away needs room. */
enum { NAME = 1, DATA = 2, LESS = 4 };

static int due(int what) {
    if (failure == EACCES && !(what & NAME)) return 0;
    if (failure == ENOSPC && (what & LESS)) return 0;
    calls++;
    if (!fails_at || calls < fails_at || (only_once && calls > fails_at)) return 0;
    errno = failure;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CHANGES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))
#define MODE(flags) mode_t mode = 0; if ((flags) & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, int); va_end(rest); }

int open(const char *path, int flags, ...) { MODE(flags) return CHANGES(flags) && under(path) && due(NAME) ? -1 : NEXT(open)(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return CHANGES(flags) && under(path) && due(NAME) ? -1 : NEXT(open64)(path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return CHANGES(flags) && under(path) && due(NAME) ? -1 : NEXT(openat)(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return CHANGES(flags) && under(path) && due(NAME) ? -1 : NEXT(openat64)(at, path, flags, mode); }
FILE *fopen(const char *path, const char *mode) { return mode[0] != 'r' && under(path) && due(NAME) ? NULL : NEXT(fopen)(path, mode); }
FILE *fopen64(const char *path, const char *mode) { return mode[0] != 'r' && under(path) && due(NAME) ? NULL : NEXT(fopen64)(path, mode); }

ssize_t write(int fd, const void *data, size_t size) {
    if (!(under_fd(fd) && due(DATA))) return NEXT(write)(fd, data, size);
    if (size > 1) NEXT(write)(fd, data, size / 2);
    errno = failure;
    return -1;
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) { return under_fd(fd) && due(DATA) ? -1 : NEXT(pwrite64)(fd, data, size, place); }
ssize_t writev(int fd, const struct iovec *parts, int count) { return under_fd(fd) && due(DATA) ? -1 : NEXT(writev)(fd, parts, count); }
int fsync(int fd) { return under_fd(fd) && due(DATA) ? -1 : NEXT(fsync)(fd); }
int ftruncate64(int fd, off64_t size) { return under_fd(fd) && due(LESS) ? -1 : NEXT(ftruncate64)(fd, size); }
int rename(const char *from, const char *to) { return (under(from) || under(to)) && due(NAME) ? -1 : NEXT(rename)(from, to); }
int renameat(int a, const char *from, int b, const char *to) { return (under(from) || under(to)) && due(NAME) ? -1 : NEXT(renameat)(a, from, b, to); }
int mkdir(const char *path, mode_t mode) { return under(path) && due(NAME) ? -1 : NEXT(mkdir)(path, mode); }
int link(const char *from, const char *to) { return under(to) && due(NAME) ? -1 : NEXT(link)(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) { return under(to) && due(NAME) ? -1 : NEXT(linkat)(a, from, b, to, flags); }
int unlink(const char *path) { return under(path) && due(NAME | LESS) ? -1 : NEXT(unlink)(path); }
int unlinkat(int at, const char *path, int flags) { return under(path) && due(NAME | LESS) ? -1 : NEXT(unlinkat)(at, path, flags); }
