/* heqenc: a PPM (P6) or PGM (P5) image, or a raw dump of an image sensor, to a .heq file, as
 * `heqcodec encode --strip` writes it.
 *
 * Reads 32 rows at a time, as a line camera delivers them. For a computer with files; the encoder
 * itself, heq_encoder.c, needs neither files nor this program.
 */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L /* for heq_output.h */
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heq_encoder.h"
#include "heq_output.h"
#include "heq_pnm.h"
#include "heq_raw.h"

#define MAX_WIDTH 65536
#define MAX_STRIP (1 << 25) /* bytes of a strip's payload */

#if HEQ_VARIABLE_RATE
#define RATE_OPTION "[-q QUALITY | --budget BYTES] [--progressive] [--tune NAME]"
#else
#define RATE_OPTION "[--bits N]"
#endif
#ifdef HEQ_PACKETS
#include "heqenc_packets.h"
#define WITH_PACKETS
#else
#define PACKETS_OPTION ""
#endif
#define USAGE                                                                            \
    "usage: heqenc " RATE_OPTION                                                         \
    " [--strip-rows N] [--raw WxH:KIND] [--gray] [-f]" PACKETS_OPTION " [--] IN OUT\n"

typedef struct {
    const char *in, *out;
    int gray;    /* the image of three channels is gray: code one */
    int replace; /* a file that is there already */
    int raw;     /* IN is a raw dump */
} command;

static heq_encoder encoder;
static heq_raw dump;
static uint8_t rows[HEQ_PATCH * MAX_WIDTH * 3];
#if HEQ_VARIABLE_RATE
static uint8_t payload[MAX_STRIP];
#endif
#ifdef WITH_PACKETS
static packets_command packets;
#endif

static int fail(const char *name, const char *what)
{
    fprintf(stderr, "heqenc: %s: %s\n", name, what);
    return 1;
}

static int wrong_command(const char *option, const char *what)
{
    fprintf(stderr, "heqenc: %s%s%s\n" USAGE, option, *option != '\0' ? ": " : "", what);
    return 2;
}

static int help(void)
{
    printf(USAGE
           "\n"
           "Encodes IN, a binary PPM (P6) or PGM (P5) image, to OUT, a .heq file, by the model "
           HEQ_MODEL ".\n"
           "\n");
#if HEQ_VARIABLE_RATE
    printf("  -q QUALITY      1 (smallest files) to 100; default %d\n",
           (912 - HEQ_DEFAULT_RATE) / 8);
    printf("  --budget BYTES  the file is not larger, by a step for each strip, in one pass\n"
           "  --progressive   the lowest frequencies of the whole image come first; IN is read "
           "twice\n"
           "  --tune NAME     psnr, or for the eye ssim and texture: low frequencies finer, faint detail "
           "kept\n");
#else
    printf("  --bits N        of a patch of 32 x 32 pixels, " HEQ_RATES "; default %d\n",
           HEQ_DEFAULT_RATE);
#endif
    printf("  --strip-rows N  rows of patches in a strip, 1 to 255; default %d\n"
           "  --raw WxH:KIND  IN is a raw dump, such as 640x480:rgb565, yuyv, nv12 or srggb10p\n"
           "  --gray          of a PPM whose pixels are all gray code one channel, as is done unasked\n"
           "                  where IN is a file and not a pipe\n"
           "  -f              replace OUT where it is there already\n"
           "  --help          this text\n",
           HEQ_STRIP_ROWS);
#ifdef WITH_PACKETS
    printf(PACKETS_HELP, HEQ_PACKET_MIN, HEQ_PACKET_MAX);
#endif
    printf("\n"
           "Exit codes: 0 OUT is written; 1 it is not, and what was there stays; 2 the command is "
           "wrong.\n");
    return ferror(stdout) || fflush(stdout) != 0;
}

static int write_file(void *context, const uint8_t *bytes, size_t length)
{
    return fwrite(bytes, 1, length, context) != length;
}

static int all_gray(const uint8_t *pixels, size_t bytes)
{
    for (; bytes > 0; bytes -= 3, pixels += 3) {
        if (pixels[0] != pixels[1] || pixels[0] != pixels[2]) {
            return 0;
        }
    }
    return 1;
}

/* Whether every pixel that follows is gray, in a file that can be read twice; what is read from a pipe
 * is gone, so there --gray says it. */
static int is_gray_file(FILE *file, const heq_image *image)
{
    size_t stride = (size_t)image->width * 3;
    long first = ftell(file);
    uint32_t row = 0;
    if (first < 0 || fseek(file, first, SEEK_SET) != 0) {
        return 0;
    }
    while (row < image->height && fread(rows, stride, 1, file) == 1 && all_gray(rows, stride)) {
        row++;
    }
    return fseek(file, first, SEEK_SET) == 0 && row == image->height;
}

/* What is wrong with the head of an image, or NULL. */
static const char *begin_image(FILE *file, int gray, heq_image *image)
{
    heq_pnm head;
    const char *wrong = read_head(file, &head);
    image->width = head.width;
    image->height = head.height;
    image->pixel_bytes = head.channels;
    image->channels = head.channels;
    if (wrong == NULL && head.width > MAX_WIDTH) {
        return "it is wider than 65536 pixels.";
    }
    if (wrong == NULL && head.channels == 3 && (gray || is_gray_file(file, image))) {
        image->channels = HEQ_GRAY_AS_RGB;
    }
    return wrong;
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
    case HEQ_BAD_IMAGE:
        return "this encoder has not that rate, strips would be too long, or the budget is less "
               "than the heads of strips take.";
    default:
        return "the encoder was used wrongly.";
    }
}

/* Give the encoder all rows that follow the head. Returns 1 where that failed. */
static int encode_rows(FILE *in, const command *names, const heq_image *image)
{
    size_t stride = (size_t)image->width * image->pixel_bytes;
    uint32_t done;
    for (done = 0; done < image->height; done += HEQ_PATCH) {
        uint32_t left = image->height - done, count = left < HEQ_PATCH ? left : HEQ_PATCH;
        if (fread(rows, stride, count, in) != count) {
            return fail(names->in,
                        ferror(in) ? "it cannot be read." : "it ends before its last row.");
        }
        if (image->channels == HEQ_GRAY_AS_RGB && !all_gray(rows, stride * count)) {
            return fail(names->in, "not every pixel is gray; leave out --gray.");
        }
        if (heq_encode_rows(&encoder, rows, stride) != HEQ_OK) {
            break;
        }
    }
    return 0;
}

/* Encode all rows that follow the head. */
static int encode(FILE *in, const command *names, const heq_image *image)
{
    long first = ftell(in);
    if (heq_begin(&encoder, image) != HEQ_OK) {
        return fail(names->out, message(heq_end(&encoder)));
    }
    if (encode_rows(in, names, image)) {
        return 1;
    }
#if HEQ_VARIABLE_RATE
    if (image->progressive) {
        if (first < 0 || fseek(in, first, SEEK_SET) != 0) {
            return fail(names->in, "it is read twice for --progressive; give a file, not a pipe.");
        }
        if (encode_rows(in, names, image)) {
            return 1;
        }
    }
#else
    (void)first;
#endif
    return heq_end(&encoder) == HEQ_OK ? 0 : fail(names->out, message(heq_end(&encoder)));
}

#ifdef WITH_PACKETS
/* Send all rows that follow the head as packets. */
static int send_packets(FILE *in, const command *names, const heq_image *image)
{
    size_t stride = (size_t)image->width * image->pixel_bytes, length = stride * image->height;
    heq_status status = HEQ_BAD_IMAGE;
    uint8_t *pixels = NULL;
    int code = 0;
    if (image->width > 65535 || image->height > 65535 ||
        ((size_t)(image->width + 31) >> 5) * ((image->height + 31) >> 5) > 65536) {
        return fail(names->in, "packets carry 65,535 pixels a side and 65,536 patches at most.");
    }
    if ((pixels = malloc(length)) == NULL) {
        return fail(names->in, "there is not enough memory for it.");
    }
    if (fread(pixels, 1, length, in) != length) {
        code = fail(names->in, ferror(in) ? "it cannot be read." : "it ends before its last row.");
    } else if (image->channels == HEQ_GRAY_AS_RGB && !all_gray(pixels, length)) {
        code = fail(names->in, "not every pixel is gray; leave out --gray.");
    } else {
        packets.link.image = *image;
        packets.link.send = write_packet;
        packets.link.context = image->context;
        status = send_image(&packets, pixels, stride);
        if (status == HEQ_NO_ROOM) {
            code = fail(names->out, "that is too few bytes; take larger packets, more of them, or a "
                                    "lower rate.");
        } else if (status != HEQ_OK) {
            code = fail(names->out, message(status));
        }
    }
    free(pixels);
    return code;
}
#endif
/* What is wrong with a raw dump, or NULL: the samples are then there, for the caller to free. */
static const char *read_dump(FILE *in, uint8_t **samples)
{
    size_t size = dump.size;
    *samples = malloc(size + 1);
    if (*samples == NULL) {
        return "there is no memory for it.";
    }
    if (fread(*samples, 1, size + 1, in) != size) {
        return "it has not as many bytes as --raw says.";
    }
    raw_begin(&dump, *samples);
    return NULL;
}

static void begin_dump(int gray, heq_image *image)
{
    image->width = dump.image.width;
    image->height = dump.image.height;
    image->channels = gray && dump.image.channels == 3 ? HEQ_GRAY_AS_RGB : dump.image.channels;
    image->pixel_bytes = dump.image.pixel_bytes;
    image->read = dump.image.read;
    image->format = dump.image.format;
}

static int encode_dump(const command *names, const heq_image *image, const uint8_t *samples)
{
    heq_status status = heq_encode(&encoder, image, samples, dump.stride);
    return status == HEQ_OK ? 0 : fail(names->out, message(status));
}

static int convert(const command *names, heq_image *image)
{
    uint8_t *samples = NULL;
    heq_output output;
    const char *wrong;
    int code;
    FILE *in = fopen(names->in, "rb");
    if (in == NULL) {
        return fail(names->in, "it cannot be read.");
    }
    if (names->raw) {
        begin_dump(names->gray, image);
        wrong = read_dump(in, &samples);
    } else {
        wrong = begin_image(in, names->gray, image);
    }
    if (wrong != NULL) {
        code = fail(names->in, ferror(in) ? "it cannot be read." : wrong);
    } else if (is_same_file(names->in, names->out)) {
        code = fail(names->out, "it is the image itself; name another file to write.");
    } else if ((wrong = begin_output(&output, names->out, names->replace)) != NULL) {
        code = fail(names->out, wrong);
    } else {
        image->write = write_file;
        image->context = output.file;
#ifdef WITH_PACKETS
        code = packets.link.size > 0 ? send_packets(in, names, image)
               : samples != NULL     ? encode_dump(names, image, samples)
                                     : encode(in, names, image);
#else
        code = samples != NULL ? encode_dump(names, image, samples) : encode(in, names, image);
#endif
        if (!end_output(&output, code == 0) && code == 0) {
            code = fail(names->out, message(HEQ_WRITE_FAILED));
        }
    }
    free(samples);
    fclose(in);
    return code;
}

#ifdef WITH_PACKETS
/* An option of packets: NULL where it is one and all is well; "" where it is none. */
static const char *read_packets_option(const char *option, const char *text)
{
    static const struct {
        const char *name, *wrong;
        long least, most;
    } numbers[] = {
        {"--packets", "it takes the bytes of a packet, 32 to 1400.", HEQ_PACKET_MIN,
         HEQ_PACKET_MAX},
        {"--parity", "it takes percent, 0 to 100.", 0, 100},
        {"--sender", "it takes a number from 0 to 65535.", 0, 65535},
        {"--image", "it takes a number from 0 to 255.", 0, 255},
#if HEQ_VARIABLE_RATE
        {"--most", "it takes a number of packets, 1 to 65535.", 1, 65535},
#endif
    };
    long value;
    size_t which = 0;
    if (strcmp(option, "--order") == 0) {
        packets.link.interleaved = strcmp(text, "interleaved") == 0;
        return packets.link.interleaved || strcmp(text, "rows") == 0
                   ? NULL
                   : "it takes interleaved or rows.";
    }
    while (which < sizeof numbers / sizeof *numbers && strcmp(option, numbers[which].name) != 0) {
        which++;
    }
    if (which == sizeof numbers / sizeof *numbers) {
        return "";
    }
    if (!is_number(text, numbers[which].least, numbers[which].most, &value)) {
        return numbers[which].wrong;
    }
    switch (which) {
    case 0:
        packets.link.size = (uint16_t)value;
        break;
    case 1:
        packets.parity = value;
        break;
    case 2:
        packets.link.sender = (uint16_t)value;
        break;
    case 3:
        packets.link.number = (uint8_t)value;
        break;
    default:
        packets.most = value;
    }
    return NULL;
}
#endif

/* Sets an option that has a value, or says what is wrong with it. */
static const char *read_option(const char *option, const char *text, heq_image *image)
{
    long value;
#ifdef WITH_PACKETS
    const char *wrong = read_packets_option(option, text);
    if (wrong == NULL || *wrong != '\0') {
        return wrong;
    }
#endif
    if (strcmp(option, "--raw") == 0) {
        return raw_of(text, &dump) ? NULL : "it takes a size and a kind, such as 640x480:rgb565.";
    }
    if (strcmp(option, "--strip-rows") == 0) {
        if (!is_number(text, 1, 255, &value)) {
            return "it takes a number from 1 to 255.";
        }
        image->strip_rows = (uint8_t)value;
        return NULL;
    }
#if HEQ_VARIABLE_RATE
    if (strcmp(option, "--budget") == 0) {
        if (!is_number(text, 1, 0x7FFFFFFF, &value)) {
            return "it takes the bytes that the file may have.";
        }
        image->budget = (uint32_t)value;
        return NULL;
    }
    if (strcmp(option, "--tune") == 0) {
        static const char *const names[3] = {"psnr", "ssim", "texture"};
        for (value = 0; value < 3 && strcmp(text, names[value]) != 0; value++) {
        }
        image->tune = (uint8_t)value;
        return value < 3 ? NULL : "it takes psnr, ssim or texture.";
    }
    if (strcmp(option, "-q") == 0) {
        value = step_of(text);
        image->rate = (uint16_t)(value < 0 ? 0 : value);
        return value < 0 ? "it takes a quality from 1 to 100." : NULL;
    }
#else
    if (strcmp(option, "--bits") == 0) {
        image->rate = is_number(text, 1, 65535, &value) ? (uint16_t)value : 0;
        return image->rate == 0 ? "it takes the number of bits of a patch." : NULL;
    }
#endif
    return "there is no such option.";
}

int main(int count, char **arguments)
{
    heq_image image = {0};
    command names = {NULL, NULL, 0, 0, 0};
    int argument, only_names = 0;
    image.rate = HEQ_DEFAULT_RATE;
#ifdef WITH_PACKETS
    packets.link.interleaved = 1;
#endif
#if HEQ_VARIABLE_RATE
    image.payload = payload;
    image.room = sizeof payload;
#endif
    for (argument = 1; argument < count; argument++) {
        const char *text = arguments[argument];
        if (only_names || text[0] != '-') {
            if (names.out != NULL) {
                return wrong_command("", "there are more than two files.");
            }
            *(names.in == NULL ? &names.in : &names.out) = text;
        } else if (strcmp(text, "--") == 0) {
            only_names = 1;
        } else if (strcmp(text, "--help") == 0) {
            return help();
        } else if (strcmp(text, "-f") == 0) {
            names.replace = 1;
        } else if (strcmp(text, "--gray") == 0) {
            names.gray = 1;
#if HEQ_VARIABLE_RATE
        } else if (strcmp(text, "--progressive") == 0) {
            image.progressive = 1;
#endif
        } else {
            const char *value = ++argument < count ? arguments[argument] : "";
            const char *wrong = read_option(text, value, &image);
            if (wrong != NULL) {
                return wrong_command(text, wrong);
            }
            names.raw |= strcmp(text, "--raw") == 0;
        }
    }
    if (names.out == NULL) {
        return wrong_command("", "name an image and a file to write.");
    }
    return convert(&names, &image);
}
