/* heqenc: a PPM (P6) or PGM (P5) image to a .heq file, as `heqcodec encode --strip` writes it.
 *
 * Reads 32 rows at a time, as a line camera delivers them. For a computer with files; the encoder
 * itself, heq_encoder.c, needs neither files nor this program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heq_encoder.h"
#include "heq_pnm.h"

#define MAX_WIDTH 65536
#define MAX_STRIP (1 << 25) /* bytes of a strip's payload */

static heq_encoder encoder;
static uint8_t rows[HEQ_PATCH * MAX_WIDTH * 3];
#if HEQ_VARIABLE_RATE
static uint8_t payload[MAX_STRIP];
#endif

static int fail(const char *name, const char *what)
{
    fprintf(stderr, "heqenc: %s: %s\n", name, what);
    return 1;
}

static int wrong_command(const char *what)
{
    fprintf(stderr, "heqenc: %s\nusage: heqenc %s [--strip-rows N] IN OUT\n", what,
            HEQ_VARIABLE_RATE ? "[-q QUALITY]" : "[--bits N]");
    return 2;
}

static int write_file(void *context, const uint8_t *bytes, size_t length)
{
    return fwrite(bytes, 1, length, context) != length;
}

/* What is wrong with the head of an image, or NULL. */
static const char *begin_image(FILE *file, heq_image *image)
{
    heq_pnm head;
    const char *wrong = read_head(file, &head);
    image->width = head.width;
    image->height = head.height;
    image->channels = head.channels;
    return wrong == NULL && head.width > MAX_WIDTH ? "wider than 65536 pixels." : wrong;
}

#if HEQ_VARIABLE_RATE
/* Step index of a quality such as 45 or 45.5, of at most four decimals; -1 if it is none. */
static long step_of(const char *text)
{
    long quality = 0, decimals = 0, digits = 0;
    for (; *text >= '0' && *text <= '9' && quality <= 100; text++, digits++) {
        quality = quality * 10 + (*text - '0');
    }
    if (*text == '.') {
        for (text++; *text >= '0' && *text <= '9' && decimals < 4; text++, decimals++, digits++) {
            quality = quality * 10 + (*text - '0');
        }
    }
    for (; decimals < 4; decimals++) {
        quality *= 10;
    }
    if (*text != '\0' || digits == 0 || quality < 10000 || quality > 1000000) {
        return -1;
    }
    return (9125000 - 8 * quality) / 10000;
}
#endif

static int is_number(const char *text, long least, long most, long *value)
{
    char *end;
    *value = strtol(text, &end, 10);
    return end != text && *end == '\0' && *value >= least && *value <= most;
}

static const char *message(heq_status status)
{
    switch (status) {
    case HEQ_WRITE_FAILED:
        return "it cannot be written.";
    case HEQ_NO_ROOM:
        return "a strip is too long; use --strip-rows 1.";
    case HEQ_BAD_IMAGE:
        return "this encoder has not that rate, or strips would be too long.";
    default:
        return "the encoder was used wrongly.";
    }
}

/* Encode all rows that follow the head. */
static int encode(FILE *in, const char *in_name, const heq_image *image, const char *out_name)
{
    size_t stride = (size_t)image->width * image->channels;
    uint32_t done;
    if (heq_begin(&encoder, image) != HEQ_OK) {
        return fail(out_name, message(heq_end(&encoder)));
    }
    for (done = 0; done < image->height; done += HEQ_PATCH) {
        uint32_t left = image->height - done, count = left < HEQ_PATCH ? left : HEQ_PATCH;
        if (fread(rows, stride, count, in) != count) {
            return fail(in_name, "it ends before its last row.");
        }
        if (heq_encode_rows(&encoder, rows, stride) != HEQ_OK) {
            break;
        }
    }
    return heq_end(&encoder) == HEQ_OK ? 0 : fail(out_name, message(heq_end(&encoder)));
}

/* Sets the option, or says what is wrong with it. */
static const char *read_option(const char *option, const char *text, heq_image *image)
{
    long value;
    if (strcmp(option, "--strip-rows") == 0) {
        if (!is_number(text, 1, 255, &value)) {
            return "--strip-rows takes a number from 1 to 255.";
        }
        image->strip_rows = (uint8_t)value;
        return NULL;
    }
#if HEQ_VARIABLE_RATE
    if (strcmp(option, "-q") == 0) {
        value = step_of(text);
        image->rate = (uint16_t)value;
        return value < 0 ? "-q takes a quality from 1 to 100." : NULL;
    }
#else
    if (strcmp(option, "--bits") == 0) {
        image->rate = is_number(text, 1, 65535, &value) ? (uint16_t)value : 0;
        return image->rate == 0 ? "--bits takes the number of bits of a patch." : NULL;
    }
#endif
    return "there is no such option.";
}

static int convert(const char *in_name, const char *out_name, heq_image *image)
{
    FILE *in = fopen(in_name, "rb"), *out;
    const char *wrong;
    int code;
    if (in == NULL) {
        return fail(in_name, "it cannot be read.");
    }
    wrong = begin_image(in, image);
    out = wrong == NULL ? fopen(out_name, "wb") : NULL;
    if (out == NULL) {
        fclose(in);
        return wrong != NULL ? fail(in_name, wrong) : fail(out_name, message(HEQ_WRITE_FAILED));
    }
    image->write = write_file;
    image->context = out;
    code = encode(in, in_name, image, out_name);
    fclose(in);
    if (fclose(out) != 0 && code == 0) {
        code = fail(out_name, message(HEQ_WRITE_FAILED));
    }
    if (code != 0) {
        remove(out_name);
    }
    return code;
}

int main(int count, char **arguments)
{
    heq_image image = {0};
    const char *names[2] = {NULL, NULL};
    int argument, named = 0;
    image.rate = HEQ_DEFAULT_RATE;
#if HEQ_VARIABLE_RATE
    image.payload = payload;
    image.room = sizeof payload;
#endif
    for (argument = 1; argument < count; argument++) {
        const char *text = arguments[argument];
        if (text[0] == '-') {
            const char *value = ++argument < count ? arguments[argument] : "";
            const char *wrong = read_option(text, value, &image);
            if (wrong != NULL) {
                return wrong_command(wrong);
            }
        } else if (named == 2) {
            return wrong_command("there are more than two files.");
        } else {
            names[named++] = text;
        }
    }
    if (named != 2) {
        return wrong_command("name an image and a file to write.");
    }
    return convert(names[0], names[1], &image);
}
