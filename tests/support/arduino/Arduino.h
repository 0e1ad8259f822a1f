/* As much of Arduino as examples/lora_camera needs, on a computer. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

struct SerialPort {
    void begin(long) {}
    void println(const char *line) { std::fprintf(stderr, "%s\n", line); }
};

static SerialPort Serial;
static unsigned long clock_ms;

static unsigned long millis()
{
    return clock_ms += 100;
}

static void delay(unsigned long time)
{
    clock_ms += time;
}

#endif
