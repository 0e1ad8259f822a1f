#include "heq_parity.h"

#include <string.h>

/* Powers of 2 in GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1, and back. */
static const uint8_t field_power[255] = {
      1,   2,   4,   8,  16,  32,  64, 128,  29,  58, 116, 232, 205, 135,  19,  38,
     76, 152,  45,  90, 180, 117, 234, 201, 143,   3,   6,  12,  24,  48,  96, 192,
    157,  39,  78, 156,  37,  74, 148,  53, 106, 212, 181, 119, 238, 193, 159,  35,
     70, 140,   5,  10,  20,  40,  80, 160,  93, 186, 105, 210, 185, 111, 222, 161,
     95, 190,  97, 194, 153,  47,  94, 188, 101, 202, 137,  15,  30,  60, 120, 240,
    253, 231, 211, 187, 107, 214, 177, 127, 254, 225, 223, 163,  91, 182, 113, 226,
    217, 175,  67, 134,  17,  34,  68, 136,  13,  26,  52, 104, 208, 189, 103, 206,
    129,  31,  62, 124, 248, 237, 199, 147,  59, 118, 236, 197, 151,  51, 102, 204,
    133,  23,  46,  92, 184, 109, 218, 169,  79, 158,  33,  66, 132,  21,  42,  84,
    168,  77, 154,  41,  82, 164,  85, 170,  73, 146,  57, 114, 228, 213, 183, 115,
    230, 209, 191,  99, 198, 145,  63, 126, 252, 229, 215, 179, 123, 246, 241, 255,
    227, 219, 171,  75, 150,  49,  98, 196, 149,  55, 110, 220, 165,  87, 174,  65,
    130,  25,  50, 100, 200, 141,   7,  14,  28,  56, 112, 224, 221, 167,  83, 166,
     81, 162,  89, 178, 121, 242, 249, 239, 195, 155,  43,  86, 172,  69, 138,   9,
     18,  36,  72, 144,  61, 122, 244, 245, 247, 243, 251, 235, 203, 139,  11,  22,
     44,  88, 176, 125, 250, 233, 207, 131,  27,  54, 108, 216, 173,  71, 142,
};
static const uint8_t field_log[256] = {
      0,   0,   1,  25,   2,  50,  26, 198,   3, 223,  51, 238,  27, 104, 199,  75,
      4, 100, 224,  14,  52, 141, 239, 129,  28, 193, 105, 248, 200,   8,  76, 113,
      5, 138, 101,  47, 225,  36,  15,  33,  53, 147, 142, 218, 240,  18, 130,  69,
     29, 181, 194, 125, 106,  39, 249, 185, 201, 154,   9, 120,  77, 228, 114, 166,
      6, 191, 139,  98, 102, 221,  48, 253, 226, 152,  37, 179,  16, 145,  34, 136,
     54, 208, 148, 206, 143, 150, 219, 189, 241, 210,  19,  92, 131,  56,  70,  64,
     30,  66, 182, 163, 195,  72, 126, 110, 107,  58,  40,  84, 250, 133, 186,  61,
    202,  94, 155, 159,  10,  21, 121,  43,  78, 212, 229, 172, 115, 243, 167,  87,
      7, 112, 192, 247, 140, 128,  99,  13, 103,  74, 222, 237,  49, 197, 254,  24,
    227, 165, 153, 119,  38, 184, 180, 124,  17,  68, 146, 217,  35,  32, 137,  46,
     55,  63, 209,  91, 149, 188, 207, 205, 144, 135, 151, 178, 220, 252, 190,  97,
    242,  86, 211, 171,  20,  42,  93, 158, 132,  60,  57,  83,  71, 109,  65, 162,
     31,  45,  67, 216, 183, 123, 164, 118, 196,  23,  73, 236, 127,  12, 111, 246,
    108, 161,  59,  82,  41, 157,  85, 170, 251,  96, 134, 177, 187, 204,  62,  90,
    203,  89,  95, 176, 156, 169, 160,  81,  11, 245,  22, 235, 122, 117,  44, 215,
     79, 174, 213, 233, 230, 231, 173, 232, 116, 214, 244, 234, 168,  80,  88, 175,
};

/* A number times a power of 2. */
static uint8_t field_product(int value, int power)
{
    int sum = field_log[value] + power;
    return value == 0 ? 0 : field_power[sum < 255 ? sum : sum - 255];
}

HEQ_INTERNAL void heq_parity_clear(heq_parity *parity)
{
    int row;
    uint8_t *bytes = parity->rows;
    for (row = 0; row < parity->count; row++) {
        memset(bytes, 0, parity->length);
        bytes += parity->length;
        HEQ_HIDE(bytes);
    }
    parity->longest = 0;
    parity->held = 0;
}

HEQ_INTERNAL void heq_parity_begin(heq_parity *parity, int count, size_t length, uint8_t *rows)
{
    int root, place;
    parity->rows = rows;
    parity->length = length;
    parity->count = (uint8_t)count;
    memset(parity->powers, 0, sizeof parity->powers);
    /* (x - 1) (x - 2) (x - 4) ..., without the first coefficient, which is 1. */
    for (root = 0; root < count; root++) {
        for (place = root; place > 0; place--) {
            parity->powers[place] ^= field_product(parity->powers[place - 1], root);
        }
        parity->powers[0] ^= field_power[root];
    }
    for (place = 0; place < count; place++) { /* none of them is 0 */
        parity->powers[place] = field_log[parity->powers[place]];
    }
    heq_parity_clear(parity);
}

HEQ_INTERNAL void heq_parity_add(heq_parity *parity, uint32_t word, uint32_t first, uint32_t count,
                                 const uint8_t *payload, size_t length)
{
    uint8_t head[HEQ_PARITY_HEAD];
    size_t column;
    head[0] = (uint8_t)(length & 255);
    head[1] = (uint8_t)(length >> 8 & 255);
    head[2] = (uint8_t)(word & 255);
    head[3] = (uint8_t)(word >> 8 & 255);
    head[4] = (uint8_t)(first & 255);
    head[5] = (uint8_t)(first >> 8 & 255);
    head[6] = (uint8_t)(count & 255);
    for (column = 0; column < parity->length; column++) {
        uint8_t *cell = parity->rows + column;
        int place, feedback = *cell;
        if (column < HEQ_PARITY_HEAD) {
            feedback ^= head[column];
        } else if (column - HEQ_PARITY_HEAD < length) {
            feedback ^= payload[column - HEQ_PARITY_HEAD];
        }
        for (place = 0; place + 1 < parity->count; place++) {
            uint8_t *next = cell + parity->length;
            *cell = *next ^ field_product(feedback, parity->powers[place]);
            cell = next;
        }
        *cell = field_product(feedback, parity->powers[place]);
    }
    if (parity->longest < length + HEQ_PARITY_HEAD) {
        parity->longest = length + HEQ_PARITY_HEAD;
    }
    parity->held++;
}

HEQ_INTERNAL void heq_parity_row(const heq_parity *parity, int row, uint8_t *bytes)
{
    const uint8_t *from = parity->rows;
    for (; row > 0; row--) {
        from += parity->length;
        HEQ_HIDE(from);
    }
    memcpy(bytes, from, parity->longest);
}
