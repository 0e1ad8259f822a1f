/*
heq_classifier: the class of an image of 32 x 32 pixels, for microcontrollers

Written by `heqcodec export c` of heqcodec @VERSION@ from the classifier @MODEL@.
SPDX-License-Identifier: Apache-2.0

-- About

heqcodec is a learned image codec whose encoder needs only additions, shifts and comparisons; the
same encoder classifies images with other weights. This is that classifier in C99: no
multiplication, division or floating point, no malloc, nothing of libc but memset and memcpy. Its
scores are those of `heqcodec.models.classifiers` on any machine.

@ACCURACY@ % of the images that it was tested on are classified right
(@PROTOCOL@).
It names one of its classes whatever it is shown.

-- Synopsis

    static heq_classifier classifier;               // HEQ_CLASSIFIER_BYTES, all the memory it uses
    int32_t scores[HEQ_CLASSES];

    int class = heq_classify(&classifier, pixels, 32 * 3, 3, scores);
    puts(heq_class_names[class]);

Classes in their order:
@NAMES@.

-- Limits

Memory      heq_classifier, and about 0.5 KB of stack
Weights     @WEIGHT_BYTES@ bytes, constant, the head included; at most 131,072
Image       32 x 32 pixels; larger ones are to be cropped and reduced before
Samples     8 bits, 1 (grey) or 3 (RGB, sRGB) a pixel

An int has 32 bits at least, and shifting a negative number right rounds down; both are checked at
compile time.
*/
#ifndef HEQ_CLASSIFIER_H
#define HEQ_CLASSIFIER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HEQ_MODEL "@MODEL@"
#define HEQ_CLASSES @CLASSES@
#define HEQ_CLASSIFIER_BYTES @CLASSIFIER_BYTES@

/* All memory of a classifier; its content is its own matter. */
typedef union {
    uint8_t bytes[HEQ_CLASSIFIER_BYTES];
    uint32_t word;
    void *pointer;
    size_t size;
} heq_classifier;

extern const char *const heq_class_names[HEQ_CLASSES];

/* The class of an image, 0 to HEQ_CLASSES - 1, the first of those with the largest score. `pixels`
 * is its upper left sample, `stride` the bytes from one row of pixels to the next, `channels` 1 or
 * 3. `scores` gets a number for each class. */
int heq_classify(heq_classifier *classifier, const uint8_t *pixels, size_t stride, int channels,
                 int32_t *scores);

#ifdef __cplusplus
}
#endif

#endif
