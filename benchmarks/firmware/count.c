/* Firmware that encodes an image in memory and says how many instructions that took.
 *
 * For two machines of qemu, run with `-icount shift=0`, where an instruction takes a nanosecond:
 * mps2-an386 (ARM) and virt (RISC-V). benchmarks/cortex_m.py loads the image, a head of four words
 * and then samples, and reads what is printed: instructions, bytes of the file and their CRC-32.
 */
#include <stddef.h>
#include <stdint.h>

#include "heq_encoder.h"

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

static uint8_t payload[1 << 18];
static heq_encoder encoder;
static uint32_t crc = 0xFFFFFFFFu, length;
static uint32_t began;

static int receive(void *context, const uint8_t *bytes, size_t count)
{
    uint32_t before = now();
    size_t place;
    int bit;
    (void)context;
    for (place = 0; place < count; place++) {
        crc ^= bytes[place];
        for (bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        }
    }
    length += (uint32_t)count;
#if defined(__riscv)
    began += now() - before; /* what is done here is not the encoder's */
#else
    began -= before - now();
#endif
    return 0;
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
    heq_image image = {0};
    heq_status status;
    uint32_t instructions;
    image.width = head[0];
    image.height = head[1];
    image.channels = 3;
    image.rate = (uint16_t)head[2];
    image.strip_rows = (uint8_t)head[3];
    image.write = receive;
#if HEQ_VARIABLE_RATE
    image.payload = payload;
    image.room = sizeof payload;
#else
    (void)payload;
#endif
    begin_counting();
    began = now();
    status = heq_encode(&encoder, &image, (const uint8_t *)(head + 4), head[0] + head[0] + head[0]);
    instructions = counted(began);
    put_number((uint32_t)status);
    put_number(instructions);
    put_number(length);
    put_number(crc ^ 0xFFFFFFFFu);
    end();
    return 0;
}
