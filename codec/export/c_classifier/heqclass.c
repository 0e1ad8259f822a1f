/* heqclass: the class of each PPM (P6) or PGM (P5) image of 32 x 32 pixels, and all scores.
 *
 * For a computer with files; the classifier itself, heq_classifier.c, needs neither files nor this
 * program.
 */
#include <stdio.h>
#include <string.h>

#include "heq_classifier.h"
#include "heq_pnm.h"

#define SIDE 32
#define USAGE "usage: heqclass [--] IMAGE...\n"

static heq_classifier classifier;

static int help(void)
{
    printf(USAGE
           "\n"
           "Prints a line for each IMAGE, a binary PPM (P6) or PGM (P5) image of 32 x 32 pixels:\n"
           "its name, its class, and the scores of all %d classes, by the classifier " HEQ_MODEL ".\n"
           "\n"
           "Exit codes: 0 all images are classified; 1 not all; 2 the command is wrong.\n",
           HEQ_CLASSES);
    return ferror(stdout) || fflush(stdout) != 0;
}

/* Reads a whole image, or says what is wrong with it. */
static const char *read_image(FILE *file, heq_pnm *head, uint8_t *pixels)
{
    const char *wrong = read_head(file, head);
    size_t stride = head->channels == 1 ? SIDE : 3 * SIDE;
    if (wrong != NULL) {
        return ferror(file) ? "it cannot be read." : wrong;
    }
    if (head->width != SIDE || head->height != SIDE) {
        return "images must have 32 x 32 pixels; crop and reduce it first.";
    }
    return fread(pixels, stride, SIDE, file) == SIDE ? NULL : "it ends before its last row.";
}

/* Prints the class of an image. Returns what is wrong, or NULL. */
static const char *classify(const char *name)
{
    uint8_t pixels[SIDE * SIDE * 3];
    int32_t scores[HEQ_CLASSES];
    heq_pnm head;
    const char *wrong = "it cannot be read.";
    FILE *file = fopen(name, "rb");
    int class, each;
    if (file != NULL) {
        wrong = read_image(file, &head, pixels);
        fclose(file);
    }
    if (wrong != NULL) {
        return wrong;
    }
    class = heq_classify(&classifier, pixels, head.channels == 1 ? SIDE : 3 * SIDE, head.channels,
                         scores);
    printf("%s %s", name, heq_class_names[class]);
    for (each = 0; each < HEQ_CLASSES; each++) {
        printf(" %ld", (long)scores[each]);
    }
    printf("\n");
    return NULL;
}

int main(int count, char **arguments)
{
    int argument = 1, failed = 0;
    if (count > 1 && strcmp(arguments[1], "--help") == 0) {
        return help();
    }
    if (count > 1 && strcmp(arguments[1], "--") == 0) {
        argument++;
    } else if (count > 1 && arguments[1][0] == '-') {
        fprintf(stderr, "heqclass: %s: there is no such option.\n" USAGE, arguments[1]);
        return 2;
    }
    if (argument == count) {
        fprintf(stderr, "heqclass: name an image.\n" USAGE);
        return 2;
    }
    for (; argument < count; argument++) {
        const char *wrong = classify(arguments[argument]);
        if (wrong != NULL) {
            fprintf(stderr, "heqclass: %s: %s\n", arguments[argument], wrong);
            failed = 1;
        }
    }
    if (ferror(stdout) || fflush(stdout) != 0) {
        fprintf(stderr, "heqclass: the classes cannot be written.\n");
        failed = 1;
    }
    return failed;
}
