/* file.c: mapping, reading and replacing files; see file.h. */
#include "base/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/check.h"
#include "base/mem.h"

/* A full or broken disk is the machine's fault; anything else is about the path given. */
static int io_error(struct err *err, const char *path, const char *doing)
{
    int e = errno;
    bool machine =
        e == ENOSPC || e == EIO || e == EDQUOT || e == EMFILE || e == ENFILE || e == EROFS;
    return err_set(
        err, machine ? ERR_MACHINE : ERR_INPUT, path, "cannot %s: %s%s", doing, strerror(e),
        e == ENOSPC || e == EDQUOT ? " (free some space and run again with --resume)" : "");
}

/* As io_error, for writing: whatever fails, the machine could not do it. */
static int write_error(struct err *err, const char *path, const char *doing)
{
    io_error(err, path, doing);
    if (err)
        err->code = ERR_MACHINE;
    return ERR_MACHINE;
}

/* read, begun again where a signal interrupts it. */
static ssize_t read_some(int fd, void *buffer, size_t size)
{
    ssize_t n;
    do
        n = read(fd, buffer, size);
    while (n < 0 && errno == EINTR);
    return n;
}

static int open_regular(int *fd, size_t *size, const char *path, struct err *err)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return io_error(err, path, "open");
    int status = ERR_NONE;
    if (fstat(*fd, &st) != 0)
        status = io_error(err, path, "examine");
    else if (!S_ISREG(st.st_mode))
        status = err_set(err, ERR_INPUT, path, "is not a regular file");
    else
        *size = (size_t)st.st_size;
    if (status)
        close(*fd);
    return status;
}

int file_map_open(struct file_map *map, const char *path, struct err *err)
{
    *map = (struct file_map){0};
    int fd;
    size_t size = 0;
    int status = open_regular(&fd, &size, path, err);
    if (status)
        return status;
    if (size > 0) {
        void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            status = io_error(err, path, "map");
        } else {
            map->data = p;
            map->size = size;
        }
    }
    close(fd);
    return status;
}

void file_map_close(struct file_map *map)
{
    if (map->data)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (struct file_map){0};
}

int file_read(struct str *out, const char *path, struct err *err)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(err, path, "open");
    int status = ERR_NONE;
    char buffer[65536];
    for (;;) {
        ssize_t n = read_some(fd, buffer, sizeof buffer);
        if (n < 0)
            status = io_error(err, path, "read");
        if (n <= 0)
            break;
        str_append(out, buffer, (size_t)n);
        if (out->failed)
            break;
    }
    if (!standard)
        close(fd);
    if (!status && out->failed)
        status = err_no_memory(err, path, out->length);
    return status;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool dir_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int dir_make(const char *path, struct err *err)
{
    char *copy = mem_strdup(path);
    if (!copy)
        return err_no_memory(err, path, strlen(path) + 1);
    int status = ERR_NONE;
    for (char *p = copy + (*copy != 0); !status; p++) {
        if (*p && *p != '/')
            continue;
        char saved = *p;
        *p = 0;
        int why = mkdir(copy, 0777) == 0 ? 0 : errno;
        if (why && why != EEXIST && !dir_exists(copy)) {
            errno = why; /* of mkdir, not of the look whether it is there */
            status = write_error(err, copy, "make the folder");
        }
        *p = saved;
        if (!saved)
            break;
    }
    if (!status && !dir_exists(path))
        status = err_set(err, ERR_MACHINE, path, "exists but is not a folder");
    mem_free(copy);
    return status;
}

bool dir_is_empty(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT;
    bool empty = true;
    struct dirent *entry;
    while (empty && (entry = readdir(dir)))
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(dir);
    return empty;
}

int dir_remove(const char *path, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? ERR_NONE : write_error(err, path, "examine");
    if (!S_ISDIR(st.st_mode))
        return unlink(path) == 0 ? ERR_NONE : write_error(err, path, "remove");
    DIR *dir = opendir(path);
    if (!dir)
        return write_error(err, path, "list");
    int status = ERR_NONE;
    struct str child = {0};
    struct dirent *entry;
    while (!status && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        path_join(&child, path, entry->d_name);
        status = child.failed ? err_no_memory(err, path, child.length)
                              : dir_remove(str_text(&child), err);
    }
    closedir(dir);
    str_free(&child);
    if (!status && rmdir(path) != 0)
        status = write_error(err, path, "remove");
    return status;
}

static int write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

/* fsync of a file or a folder. */
static int file_sync(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return write_error(err, path, "open");
    int status = fsync(fd) == 0 ? ERR_NONE : write_error(err, path, "sync");
    close(fd);
    return status;
}

/* The folder a path lies in, "." when it names none. */
static const char *parent_of(struct str *out, const char *path)
{
    str_clear(out);
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length)
        str_append(out, path, length);
    else
        str_puts(out, ".");
    return str_text(out);
}

static int sync_parent(const char *path, struct err *err)
{
    struct str parent = {0};
    parent_of(&parent, path);
    int status =
        parent.failed ? err_no_memory(err, path, strlen(path)) : file_sync(str_text(&parent), err);
    str_free(&parent);
    return status;
}

int file_write_atomic(const char *path, const void *data, size_t size, struct err *err)
{
    struct str temporary = {0};
    str_printf(&temporary, "%s.tmp.%ld", path, (long)getpid());
    if (temporary.failed)
        return err_no_memory(err, path, strlen(path));
    const char *name = str_text(&temporary);
    int status = ERR_NONE;
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        status = write_error(err, path, "create a temporary file beside it");
    } else {
        if (write_all(fd, data, size) != 0)
            status = write_error(err, path, "write");
        else if (fsync(fd) != 0)
            status = write_error(err, path, "sync");
        if (close(fd) != 0 && !status)
            status = write_error(err, path, "close");
        if (!status && rename(name, path) != 0)
            status = write_error(err, path, "rename the temporary file");
        if (status)
            unlink(name);
        else
            status = sync_parent(path, err);
    }
    str_free(&temporary);
    return status;
}

/* Syncs every file below a folder, then the folder itself: nothing may be renamed into place whose
 * content is still on its way to the disk. */
static int sync_tree(const char *path, struct err *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return write_error(err, path, "list");
    int status = ERR_NONE;
    struct str child = {0};
    struct dirent *entry;
    while (!status && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        path_join(&child, path, entry->d_name);
        if (child.failed)
            status = err_no_memory(err, path, child.length);
        else if (dir_exists(str_text(&child)))
            status = sync_tree(str_text(&child), err);
        else if (file_exists(str_text(&child)))
            status = file_sync(str_text(&child), err);
    }
    closedir(dir);
    str_free(&child);
    return status ? status : file_sync(path, err);
}

int dir_replace_atomic(const char *fresh, const char *target, struct err *err)
{
    int status = sync_tree(fresh, err);
    if (status)
        return status;
    struct stat st;
    if (lstat(target, &st) != 0) {
        if (rename(fresh, target) != 0)
            return write_error(err, target, "rename the new folder");
        return sync_parent(target, err);
    }
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, target, RENAME_EXCHANGE) == 0) {
        status = sync_parent(target, err);
        return status ? status : dir_remove(fresh, err);
    }
    if (errno != EINVAL && errno != ENOSYS)
        return write_error(err, target, "exchange with the new folder");
    /* A file system without RENAME_EXCHANGE: there is one instant at which the target is missing,
     * but its old content then lies beside it under a name that says so. */
    struct str old = {0};
    str_printf(&old, "%s.old", target);
    if (old.failed)
        return err_no_memory(err, target, strlen(target));
    status = dir_remove(str_text(&old), err);
    if (!status && rename(target, str_text(&old)) != 0)
        status = write_error(err, target, "set aside");
    if (!status && rename(fresh, target) != 0)
        status = write_error(err, target, "rename the new folder");
    if (!status)
        status = sync_parent(target, err);
    if (!status)
        status = dir_remove(str_text(&old), err);
    str_free(&old);
    return status;
}

const char *path_join(struct str *out, const char *folder, const char *name)
{
    str_clear(out);
    str_puts(out, folder);
    if (out->length && out->data[out->length - 1] != '/')
        str_putc(out, '/');
    str_puts(out, name);
    /* Half a path would name another file, or a folder above the one that is meant. */
    if (out->failed && out->data) {
        out->length = 0;
        out->data[0] = 0;
    }
    return str_text(out);
}

/* --- append-only logs --- */

int file_log_open(struct file_log *log, const char *path, uint64_t truncate_to, struct err *err)
{
    *log = (struct file_log){.fd = -1};
    log->path = mem_strdup(path);
    if (!log->path)
        return err_no_memory(err, path, strlen(path) + 1);
    log->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    int status = ERR_NONE;
    struct stat st;
    if (log->fd < 0 || fstat(log->fd, &st) != 0)
        status = write_error(err, path, "open");
    else if ((uint64_t)st.st_size < truncate_to)
        status = err_set(err, ERR_INPUT, path,
                         "has %lld bytes but the checkpoint expects at least %llu: it was "
                         "cut or replaced since; start anew in another folder",
                         (long long)st.st_size, (unsigned long long)truncate_to);
    else if (ftruncate(log->fd, (off_t)truncate_to) != 0 ||
             lseek(log->fd, (off_t)truncate_to, SEEK_SET) < 0)
        status = write_error(err, path, "cut back");
    if (status)
        file_log_close(log);
    else
        log->offset = truncate_to;
    return status;
}

int file_log_write(struct file_log *log, const void *data, size_t size, struct err *err)
{
    if (write_all(log->fd, data, size) != 0) {
        int status = write_error(err, log->path, "write");
        /* Half a line helps nobody: best effort, the reader of a log copes with one anyway. */
        if (ftruncate(log->fd, (off_t)log->offset) == 0)
            (void)lseek(log->fd, (off_t)log->offset, SEEK_SET);
        return status;
    }
    log->offset += size;
    return ERR_NONE;
}

int file_log_sync(struct file_log *log, struct err *err)
{
    return fsync(log->fd) == 0 ? ERR_NONE : write_error(err, log->path, "sync");
}

void file_log_close(struct file_log *log)
{
    if (log->path && log->fd >= 0)
        close(log->fd);
    mem_free(log->path);
    *log = (struct file_log){.fd = -1};
}

/* --- SHA-256 --- */

static void hex(char out[65], const unsigned char *digest, unsigned int length)
{
    CHECK(length == 32);
    for (unsigned int i = 0; i < length; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void sha256_hex(char out[65], const void *data, size_t size)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    /* Fails only when libcrypto is without memory or without SHA-256; a wrong hash would be worse.
     */
    CHECK(EVP_Digest(data, size, digest, &length, EVP_sha256(), NULL) == 1);
    hex(out, digest, length);
}

/* Read, not mapped: of a model's gigabyte neither page tables nor resident memory. */
static int digest_fd(EVP_MD_CTX *digest, int fd, const char *path, struct err *err)
{
    char buffer[65536];
    for (;;) {
        ssize_t n = read_some(fd, buffer, sizeof buffer);
        if (n < 0)
            return io_error(err, path, "read");
        if (n == 0)
            return ERR_NONE;
        CHECK(EVP_DigestUpdate(digest, buffer, (size_t)n) == 1);
    }
}

int sha256_file(char out[65], const char *path, struct err *err)
{
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    int fd;
    size_t size;
    int status = open_regular(&fd, &size, path, err);
    if (status)
        return status;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1)
        status = digest_fd(digest, fd, path, err);
    else
        status = err_no_memory(err, path, sizeof value);
    if (!status) {
        CHECK(EVP_DigestFinal_ex(digest, value, &length) == 1);
        hex(out, value, length);
    }
    EVP_MD_CTX_free(digest);
    close(fd);
    return status;
}
