/* What the examples use of Arduino's core, for compiling them and running them on a computer. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>

class SerialPort
{
  public:
    void begin(unsigned long baud);
    operator bool();
    int read();
    size_t write(const uint8_t *bytes, size_t length);
    void flush();
    void println(const char *line);
};

extern SerialPort Serial;

unsigned long millis();
void delay(unsigned long time);

void setup();
void loop();

#endif
