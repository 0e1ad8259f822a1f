/* What the fuzz harnesses share: tables of the shipped models, and bytes taken one after another.
 *
 * prepare.py writes the tables to the folder that TABLES names, each coder's in one file. */
#ifndef HEQ_FUZZ_HARNESS_H
#define HEQ_FUZZ_HARNESS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says what does not hold, and stops, so that libFuzzer keeps the input. */
#define EXPECT(condition)                                  \
    do {                                                   \
        if (!(condition)) {                                \
            fprintf(stderr, "not so: %s\n", #condition);   \
            abort();                                       \
        }                                                  \
    } while (0)

/* The next bytes of a file of tables: as many as `part` says, aligned for any type. */
static inline const void *next_table(FILE *file, size_t bytes)
{
    void *table = malloc(bytes);
    EXPECT(table != NULL && fread(table, 1, bytes, file) == bytes);
    return table;
}

static inline FILE *open_tables(const char *name)
{
    FILE *file = fopen(name, "rb");
    EXPECT(file != NULL);
    return file;
}

/* Bytes of an input; zeros follow its end. */
typedef struct {
    const uint8_t *next;
    size_t left;
} input;

static inline uint32_t take_byte(input *from)
{
    if (from->left == 0) {
        return 0;
    }
    from->left--;
    return *from->next++;
}

static inline uint32_t take_number(input *from, uint32_t least, uint32_t most)
{
    uint32_t number = take_byte(from);
    if (most - least > 255) {
        number = number << 8 | take_byte(from);
    }
    return least + number % (most - least + 1);
}

#endif
