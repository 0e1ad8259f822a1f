/* Firmware that encodes an image in memory and says how many instructions and bytes that took.
 *
 * For two machines of qemu, run with `-icount shift=0`, where an instruction takes a nanosecond:
 * mps2-an386 (ARM) and virt (RISC-V). benchmarks/cortex_m.py loads the image, a head of four words
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
#if defined(__riscv)
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
