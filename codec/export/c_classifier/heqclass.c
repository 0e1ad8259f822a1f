/* heqclass: the class of each PPM (P6) or PGM (P5) image of 32 x 32 pixels, and all scores.
 *
 * For a computer with files; the classifier itself, heq_classifier.c, needs neither files nor this
 * program.
 */
#include <stdio.h>

#include "heq_classifier.h"
#include "heq_pnm.h"

#define SIDE 32

static heq_classifier classifier;

/* Reads a whole image, or says what is wrong with it. */
static const char *read_image(FILE *file, heq_pnm *head, uint8_t *pixels)
{
    const char *wrong = read_head(file, head);
    size_t stride = head->channels == 1 ? SIDE : 3 * SIDE;
    if (wrong != NULL) {
        return wrong;
    }
    if (head->width != SIDE || head->height != SIDE) {
        return "images must have 32 x 32 pixels; crop and reduce it first.";
    }
    return fread(pixels, stride, SIDE, file) == SIDE ? NULL : "it ends before its last row.";
}

int main(int count, char **names)
{
    int argument, failed = 0;
    if (count < 2) {
        fprintf(stderr, "usage: heqclass IMAGE...\n");
        return 2;
    }
    for (argument = 1; argument < count; argument++) {
        const char *name = names[argument], *wrong = "it cannot be read.";
        uint8_t pixels[SIDE * SIDE * 3];
        heq_pnm head;
        FILE *file = fopen(name, "rb");
        if (file != NULL) {
            wrong = read_image(file, &head, pixels);
            fclose(file);
        }
        if (wrong != NULL) {
            fprintf(stderr, "heqclass: %s: %s\n", name, wrong);
            failed = 1;
        } else {
            int32_t scores[HEQ_CLASSES];
            size_t stride = head.channels == 1 ? SIDE : 3 * SIDE;
            int class = heq_classify(&classifier, pixels, stride, head.channels, scores), each;
            printf("%s %s", name, heq_class_names[class]);
            for (each = 0; each < HEQ_CLASSES; each++) {
                printf(" %ld", (long)scores[each]);
            }
            printf("\n");
        }
    }
    return failed;
}
