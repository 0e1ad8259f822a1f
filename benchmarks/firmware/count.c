/* Firmware that encodes an image in memory and says how many instructions and bytes that took.
 *
 * For three machines of qemu, run with `-icount shift=0`, where an instruction takes a nanosecond:
 * mps2-an386 (ARM), virt (RISC-V) and sim (Xtensa). benchmarks/cortex_m.py loads the image, a head of four words
 * and then samples, and reads what is printed: status, instructions, bytes of the file and their
 * CRC-32, bytes of stack, bytes of the heap, and the most bytes that were put at once.
 */
#include "count.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#if defined(__riscv)

#define IMAGE 0x80800000u

static void put_byte(char byte)
{
    *(volatile char *)0x10000000u = byte;
}

static uint32_t now(void)
{
    uint32_t count;
    __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop"
                     : "=r"(count));
    return count;
}

static void begin_counting(void)
{
}

static uint32_t counted(uint32_t before)
{
    return now() - before;
}

static void end(void)
{
    REGISTER(0x100000u) = 0x5555;
    for (;;) {
    }
}

__asm__(".section .start\n.global _start\n_start:\nla sp, stack_end\ncall main\n");

#elif defined(__XTENSA__)

#define IMAGE 0x61000000u
#ifndef TICK
#define TICK 25u /* CCOUNT of qemu's LX106 counts at 40 MHz */
#endif

/* A call of the simulator's: 1 ends it, 4 writes. */
static void simulator(uint32_t operation, uint32_t first, const char *second, uint32_t third)
{
    register uint32_t a2 __asm__("a2") = operation, a3 __asm__("a3") = first;
    register const char *a4 __asm__("a4") = second;
    register uint32_t a5 __asm__("a5") = third;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
}

static void put_byte(char byte)
{
    simulator(4, 1, &byte, 1);
}

static uint32_t now(void)
{
    uint32_t count;
    __asm__ volatile("rsr.ccount %0" : "=r"(count));
    return count;
}

static void begin_counting(void)
{
}

static uint32_t counted(uint32_t before)
{
    return (now() - before) * TICK;
}

static void end(void)
{
    simulator(1, 0, NULL, 0);
    for (;;) {
    }
}

/* qemu begins at the reset vector, as in an exception, which loops do not go with. The stack is at the
 * end of 8 MB, and main is called from where the memory begins. */
__asm__(".section .reset, \"ax\"\n.global _start\n_start:\nmovi a1, 32\nwsr.ps a1\nrsync\n"
        "movi a1, 1\nslli a1, a1, 23\nmovi a2, 0x60\nslli a2, a2, 24\nadd a1, a1, a2\njx a2\n"
        ".section .start, \"ax\"\nj main\n.text\n");

#ifdef NO_LIBC /* whose calls would be others */

void *memset(void *bytes, int value, size_t count)
{
    volatile uint8_t *place = bytes;
    for (; count > 0 && ((uintptr_t)place & 3) != 0; count--) {
        *place++ = (uint8_t)value;
    }
    for (; count >= 4; count -= 4, place += 4) {
        *(volatile uint32_t *)place = ((uint32_t)value & 255) * 0x01010101u;
    }
    for (; count > 0; count--) {
        *place++ = (uint8_t)value;
    }
    return bytes;
}

void *memcpy(void *to, const void *from, size_t count)
{
    volatile uint8_t *place = to;
    const uint8_t *source = from;
    for (; count > 0; count--) {
        *place++ = *source++;
    }
    return to;
}

#endif

#else

#define IMAGE 0x20100000u
#define TIMER 0x40000000u /* counts down at 25 MHz: a tick is 40 instructions */
#define TICK 40u

static void put_byte(char byte)
{
    REGISTER(0x40004000u) = (uint32_t)byte;
}

static void begin_counting(void)
{
    REGISTER(0x40004008u) = 1; /* serial port: transmit */
    REGISTER(TIMER + 8) = 0xFFFFFFFFu;
    REGISTER(TIMER + 4) = 0xFFFFFFFFu;
    REGISTER(TIMER) = 1;
}

static uint32_t now(void)
{
    return REGISTER(TIMER + 4);
}

static uint32_t counted(uint32_t before)
{
    return (before - now()) * TICK;
}

static void end(void)
{
    register uint32_t operation __asm__("r0") = 0x18, reason __asm__("r1") = 0x20026;
    __asm__ volatile("bkpt 0xAB" : : "r"(operation), "r"(reason)); /* semihosting: exit */
    for (;;) {
    }
}

int main(void);
extern uint32_t stack_end[];
__attribute__((section(".start"), used)) static const void *const vectors[2] = {stack_end, main};

#endif

#define PAINTED 24576 /* bytes of stack that are looked at */
#define MARGIN 256    /* what main itself may take */
#define PAINT 0xA5

static uint32_t crc = 0xFFFFFFFFu, length, longest;
static uint32_t began;

int put_bytes(const void *bytes, size_t count)
{
    uint32_t before = now();
    size_t place;
    int bit;
    for (place = 0; place < count; place++) {
        crc ^= ((const uint8_t *)bytes)[place];
        for (bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        }
    }
    length += (uint32_t)count;
    longest = count > longest ? (uint32_t)count : longest;
#if defined(__riscv) || defined(__XTENSA__)
    began += now() - before; /* what is done here is not the encoder's */
#else
    began -= before - now();
#endif
    return 0;
}

static uint64_t heap[1 << 14];
static uint32_t allocated;

/* For peers: nothing is given back, so that the heap is all that was asked for. */
void *malloc(size_t size)
{
    void *block = (uint8_t *)heap + allocated;
    allocated += (uint32_t)(size + 7) & ~7u;
    return allocated <= sizeof heap ? block : NULL;
}

void free(void *block)
{
    (void)block;
}

static void put_number(uint32_t number)
{
    int shift;
    for (shift = 28; shift >= 0; shift -= 4) {
        put_byte("0123456789abcdef"[number >> shift & 15]);
    }
    put_byte('\n');
}

int main(void)
{
    const uint32_t *head = (const uint32_t *)IMAGE;
    volatile uint8_t *top = (volatile uint8_t *)__builtin_frame_address(0) - MARGIN;
    count_image image;
    uint32_t instructions, depth = 0;
    int status;
    image.width = head[0];
    image.height = head[1];
    image.setting = (int)head[2];
    image.strip_rows = (int)head[3];
    image.pixels = (const uint8_t *)(head + 4);
    for (depth = 0; depth < PAINTED; depth++) {
        top[-(int)depth] = PAINT;
    }
    begin_counting();
    began = now();
    status = encode_image(&image);
    instructions = counted(began);
    while (depth > 0 && top[1 - (int)depth] == PAINT) {
        depth--;
    }
    put_number((uint32_t)status);
    put_number(instructions);
    put_number(length);
    put_number(crc ^ 0xFFFFFFFFu);
    put_number(depth + MARGIN);
    put_number(allocated);
    put_number(longest);
    end();
    return 0;
}
