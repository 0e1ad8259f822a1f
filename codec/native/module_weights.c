#include "module_weights.h"

#ifndef HEQ_KERNEL_FAST

/* A weight of a square of `side` columns: layers of three bit planes, highest bit first. */
static int packed_weight(const uint8_t *square, int side, int layers, int row, int column)
{
    int bytes = side == 16 ? 2 : 1, weight = 0;
    square += row * layers * 3 * bytes + (column >> 3);
    for (int layer = 0; layer < layers; layer++) {
        int digit = 0;
        for (int bit = 0; bit < 3; bit++, square += bytes) {
            digit = 2 * digit + (*square >> (column & 7) & 1);
        }
        weight = 4 * weight + digit - 2;
    }
    return weight;
}

/* The weight of 16 points: rows are even or odd, and even ones those of half the points. */
static int weight_of(const uint8_t *small, int layers, int row, int column)
{
    for (int side = 8; side >= 4; side >>= 1) {
        int beyond = column >= side, inside = beyond ? 2 * side - 1 - column : column;
        if (row & 1) {
            int weight = packed_weight(small, side, layers, row >> 1, inside);
            return beyond ? -weight : weight;
        }
        small += side * layers * 3;
        row >>= 1;
        column = inside;
    }
    return packed_weight(small, 4, layers, row, column);
}

void heq_unpack_products(const uint8_t *large, const uint8_t *small, int layers,
                         int16_t *products)
{
    for (int row = 0; row < 16; row++) {
        int16_t *half = products + (row & 1 ? ODD_OF_16 : EVEN_OF_16) + 8 * (row >> 1);
        for (int column = 0; column < 16; column++) {
            int weight = weight_of(small, layers, row, column);
            products[ODD_OF_32 + 16 * row + column] =
                (int16_t)packed_weight(large, 16, layers, row, column);
            products[ALL_OF_16 + 16 * row + column] = (int16_t)weight;
            if (column < 8) {
                half[column] = (int16_t)weight;
            }
        }
    }
}

/* The n-th of digits -2..2, plus 2: three bit planes of so many bytes, lowest bit first. */
static int digit_of(const uint8_t *planes, int bytes, int number)
{
    int digit = 0;
    for (int bit = 2; bit >= 0; bit--) {
        digit = 2 * digit + (planes[bit * bytes + (number >> 3)] >> (number & 7) & 1);
    }
    return digit;
}

void heq_unpack_pairs(const uint8_t *near, uint8_t *pairs)
{
    for (int kind = 0; kind < 24; kind++, near += 39) {
        for (int number = 0; number < 100; number += 2) {
            *pairs++ =
                (uint8_t)(5 * digit_of(near, 13, number) + digit_of(near, 13, number + 1));
        }
    }
}

void heq_unpack_cross(const uint8_t *bits, int8_t *cross)
{
    for (int number = 0; number < 48; number++) {
        cross[number] = (int8_t)(digit_of(bits, 6, number) - 2);
    }
}

#endif
