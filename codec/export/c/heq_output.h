/* A file that is written aside, in the folder where it will stand, and named once it is whole: what
 * stood there before stays until then, and for good where the writing fails. */
#ifndef HEQ_OUTPUT_H
#define HEQ_OUTPUT_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <sys/stat.h>
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#elif defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

typedef struct {
    FILE *file;
    const char *name;
    char *aside; /* what it is called until it is whole; NULL: a device, which is written to */
} heq_output;

typedef enum { NOTHING, REGULAR_FILE, FOLDER, DEVICE } heq_kind;

/* ---- What platforms have ------------------------------------------------------------------ */

#if defined(_WIN32)

static heq_kind kind_of(const char *name)
{
    DWORD attributes = GetFileAttributesA(name);
    return attributes == INVALID_FILE_ATTRIBUTES      ? NOTHING
           : attributes & FILE_ATTRIBUTE_DIRECTORY    ? FOLDER
           : attributes & FILE_ATTRIBUTE_DEVICE       ? DEVICE
                                                      : REGULAR_FILE;
}

static int is_same_file(const char *first, const char *second)
{
    char paths[2][MAX_PATH];
    return GetFullPathNameA(first, MAX_PATH, paths[0], NULL) - 1 < MAX_PATH - 1 &&
           GetFullPathNameA(second, MAX_PATH, paths[1], NULL) - 1 < MAX_PATH - 1 &&
           _stricmp(paths[0], paths[1]) == 0;
}

/* A new file; NULL where there is one of that name already. */
static FILE *create(const char *name)
{
    int number = _open(name, _O_CREAT | _O_EXCL | _O_WRONLY | _O_BINARY, _S_IREAD | _S_IWRITE);
    return number < 0 ? NULL : _fdopen(number, "wb");
}

static long process_number(void)
{
    return _getpid();
}

static int reach_disk(FILE *file)
{
    return fflush(file) == 0 && _commit(_fileno(file)) == 0;
}

static int rename_over(const char *from, const char *to)
{
    return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) != 0;
}

#elif defined(__unix__) || defined(__APPLE__)

static heq_kind kind_of(const char *name)
{
    struct stat found;
    return stat(name, &found) != 0     ? NOTHING
           : S_ISREG(found.st_mode)    ? REGULAR_FILE
           : S_ISDIR(found.st_mode)    ? FOLDER
                                       : DEVICE;
}

static int is_same_file(const char *first, const char *second)
{
    struct stat found[2];
    return stat(first, &found[0]) == 0 && stat(second, &found[1]) == 0 &&
           found[0].st_dev == found[1].st_dev && found[0].st_ino == found[1].st_ino;
}

/* A new file; NULL where there is one of that name already. */
static FILE *create(const char *name)
{
    int number = open(name, O_CREAT | O_EXCL | O_WRONLY, 0666);
    return number < 0 ? NULL : fdopen(number, "wb");
}

static long process_number(void)
{
    return (long)getpid();
}

static int reach_disk(FILE *file)
{
    return fflush(file) == 0 && fsync(fileno(file)) == 0;
}

static int rename_over(const char *from, const char *to)
{
    return rename(from, to) == 0;
}

#else /* C99 alone */

static heq_kind kind_of(const char *name)
{
    FILE *file = fopen(name, "rb");
    if (file != NULL) {
        fclose(file);
    }
    return file != NULL ? REGULAR_FILE : NOTHING;
}

static int is_same_file(const char *first, const char *second)
{
    return strcmp(first, second) == 0;
}

static FILE *create(const char *name)
{
    return kind_of(name) == NOTHING ? fopen(name, "wb") : NULL;
}

static long process_number(void)
{
    return 0;
}

static int reach_disk(FILE *file)
{
    return fflush(file) == 0;
}

/* Where rename() is there in name alone, as in newlib without a file system. */
static int copy(const char *from, const char *to)
{
    FILE *source = fopen(from, "rb"), *target = fopen(to, "wb");
    int byte, done = source != NULL && target != NULL;
    while (done && (byte = fgetc(source)) != EOF) {
        done = fputc(byte, target) != EOF;
    }
    done = source != NULL && fclose(source) == 0 && done;
    done = target != NULL && fclose(target) == 0 && done;
    if (done) {
        remove(from);
    } else {
        remove(to);
    }
    return done;
}

static int rename_over(const char *from, const char *to)
{
    remove(to); /* rename() need not replace */
    return rename(from, to) == 0 || copy(from, to);
}

#endif

/* ---- The same for all --------------------------------------------------------------------- */

/* What a signal that ends the program takes along. */
static const char *volatile unfinished;

static void end_by_signal(int number)
{
    if (unfinished != NULL) {
        remove(unfinished);
    }
    signal(number, SIG_DFL);
    raise(number);
}

/* Begin to write a file. Returns NULL, or what is wrong. */
static const char *begin_output(heq_output *output, const char *name, int replace)
{
    heq_kind kind = kind_of(name);
    output->name = name;
    output->aside = NULL;
    output->file = NULL;
    if (kind == FOLDER) {
        return "it is a folder.";
    }
    if (kind == REGULAR_FILE && !replace) {
        return "it is there already; -f replaces it.";
    }
    if (kind == DEVICE) {
        output->file = fopen(name, "wb");
    } else if ((output->aside = malloc(strlen(name) + 40)) != NULL) {
        sprintf(output->aside, "%s.%ld.part", name, process_number());
        output->file = create(output->aside);
    }
    if (output->file == NULL) {
        free(output->aside);
        return "it cannot be written.";
    }
    unfinished = output->aside;
    signal(SIGINT, end_by_signal);
    signal(SIGTERM, end_by_signal);
    return NULL;
}

/* Close the file, and name it where it is whole. Returns whether it stands there now. */
static int end_output(heq_output *output, int whole)
{
    int done = output->aside == NULL || !whole || reach_disk(output->file);
    done = fclose(output->file) == 0 && done && whole;
    if (output->aside != NULL) {
        done = done && rename_over(output->aside, output->name);
        if (!done) {
            remove(output->aside);
        }
        unfinished = NULL;
        free(output->aside);
    }
    return done;
}

#endif
