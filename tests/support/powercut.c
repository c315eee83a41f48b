/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Records what a process does to the files of one folder, in the order in which it happened: loaded with LD_PRELOAD,
 * it stands between a program and the C library. tests/support/powercut.py reads the record.
 *
 * POWERCUT_FOLDER is the folder (absolute, without a slash at the end), POWERCUT_LOG the record, outside of it. What
 * goes to a file by mmap is not seen: SQLite's shared memory, which no power cut keeps anyway.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct head {
    char op;
    char pad[3];
    uint32_t path_length;
    int64_t offset;
    int64_t length;
};

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int record = -1;
static char folder[PATH_MAX];
static size_t folder_length;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("POWERCUT_LOG"), *under = getenv("POWERCUT_FOLDER");
    if (path == NULL || under == NULL || strlen(under) >= sizeof folder)
        return;
    strcpy(folder, under);
    folder_length = strlen(folder);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    /* Far away from the numbers that programs close by habit. */
    record = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 900);
    if (fd >= 0)
        syscall(SYS_close, fd);
}

static int inside(const char *path)
{
    return record >= 0 && strncmp(path, folder, folder_length) == 0 &&
           (path[folder_length] == '/' || path[folder_length] == 0);
}

static void put(char op, const char *path, int64_t offset, const void *data, int64_t length)
{
    struct head head = {op, {0}, (uint32_t)strlen(path), offset, length};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)path, head.path_length}, {(void *)data, (size_t)length}};
    size_t whole = sizeof head + head.path_length + (size_t)length;
    if (syscall(SYS_writev, record, parts, length ? 3 : 2) != (long)whole)
        abort(); /* A record with a hole would prove anything. */
}

static int name_of(int fd, char *path)
{
    char link[64];
    if (record < 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return inside(path);
}

static int name_at(int directory, const char *given, char *path)
{
    char base[PATH_MAX];
    if (record < 0 || given == NULL)
        return 0;
    if (given[0] == '/') {
        snprintf(path, PATH_MAX, "%s", given);
        return inside(path);
    }
    if (directory == AT_FDCWD) {
        if (getcwd(base, sizeof base) == NULL)
            return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length <= 0)
            return 0;
        base[length] = 0;
    }
    if (snprintf(path, PATH_MAX, "%s/%s", base, given) >= PATH_MAX)
        return 0;
    return inside(path);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

static int opened(int directory, const char *given, int flags, mode_t mode)
{
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    int ours = (flags & (O_CREAT | O_TRUNC)) && name_at(directory, given, path);
    int there = ours && access(path, F_OK) == 0;
    int fd = REAL(int, openat, int, const char *, int, ...)(directory, given, flags, mode);
    if (fd >= 0 && ours && !there)
        put('C', path, 0, NULL, 0);
    else if (fd >= 0 && ours && (flags & O_TRUNC))
        put('T', path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE_OF(flags, last)                     \
    mode_t mode = 0;                             \
    if ((flags) & (O_CREAT | O_TMPFILE)) {       \
        va_list rest;                            \
        va_start(rest, last);                    \
        mode = (mode_t)va_arg(rest, int);        \
        va_end(rest);                            \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(at, path, flags, mode); }

static ssize_t written(int fd, const void *data, size_t length, off_t offset, int placed)
{
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    int ours = name_of(fd, path);
    if (ours && !placed) {
        int flags = fcntl(fd, F_GETFL);
        offset = lseek(fd, 0, flags & O_APPEND ? SEEK_END : SEEK_CUR);
    }
    ssize_t done = placed ? REAL(ssize_t, pwrite, int, const void *, size_t, off_t)(fd, data, length, offset)
                          : REAL(ssize_t, write, int, const void *, size_t)(fd, data, length);
    if (ours && done > 0)
        put('W', path, offset, data, done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return written(fd, data, length, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return written(fd, data, length, at, 1); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) { return written(fd, data, length, at, 1); }

static int resized(int fd, off_t size, int (*call)(int, off_t))
{
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    int ours = name_of(fd, path), done = call(fd, size);
    if (ours && done == 0)
        put('T', path, size, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t size) { return resized(fd, size, REAL(int, ftruncate, int, off_t)); }
int ftruncate64(int fd, off64_t size) { return resized(fd, size, REAL(int, ftruncate, int, off_t)); }

static int allocated(int fd, off_t offset, off_t length)
{
    char path[PATH_MAX];
    struct stat found;
    pthread_mutex_lock(&lock);
    int ours = name_of(fd, path) && fstat(fd, &found) == 0 && found.st_size < offset + length;
    int done = REAL(int, posix_fallocate, int, off_t, off_t)(fd, offset, length);
    if (ours && done == 0)
        put('T', path, offset + length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int posix_fallocate(int fd, off_t offset, off_t length) { return allocated(fd, offset, length); }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return allocated(fd, offset, length); }

static int synced(int fd, int (*call)(int))
{
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    int ours = name_of(fd, path), done = call(fd);
    if (ours && done == 0)
        put('S', path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd) { return synced(fd, REAL(int, fsync, int)); }
int fdatasync(int fd) { return synced(fd, REAL(int, fdatasync, int)); }

static int removed(int directory, const char *given, int flags)
{
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    int ours = !(flags & AT_REMOVEDIR) && name_at(directory, given, path);
    int done = REAL(int, unlinkat, int, const char *, int)(directory, given, flags);
    if (ours && done == 0)
        put('U', path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return removed(at, path, flags); }

static int renamed(int from_at, const char *from, int to_at, const char *to)
{
    char before[PATH_MAX], after[PATH_MAX];
    pthread_mutex_lock(&lock);
    int ours = name_at(from_at, from, before) && name_at(to_at, to, after);
    int done = REAL(int, renameat, int, const char *, int, const char *)(from_at, from, to_at, to);
    if (ours && done == 0)
        put('R', before, 0, after, (int64_t)strlen(after));
    pthread_mutex_unlock(&lock);
    return done;
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int from_at, const char *from, int to_at, const char *to) { return renamed(from_at, from, to_at, to); }
