/* A board on a computer: the camera's frame comes from standard input, the serial port is standard
 * output, and asks for one picture. */
#include <stdio.h>
#include <stdlib.h>

#include <Arduino_OV767X.h>

SerialPort Serial;
OV767X Camera;

void SerialPort::begin(unsigned long)
{
}

SerialPort::operator bool()
{
    return true;
}

int SerialPort::read()
{
    static int asked;
    if (asked++) {
        exit(0);
    }
    return 'p';
}

size_t SerialPort::write(const uint8_t *bytes, size_t length)
{
    return fwrite(bytes, 1, length, stdout);
}

void SerialPort::println(const char *line)
{
    fprintf(stderr, "%s\n", line);
}

static unsigned long now;

unsigned long millis()
{
    return now += 100;
}

/* A sketch that waits in its loop has sent its picture. */
void delay(unsigned long)
{
    exit(0);
}

void SerialPort::flush()
{
    fflush(stdout);
}

int OV767X::begin(int resolution, int format, int fps)
{
    return resolution == QCIF && format == RGB565 && fps > 0;
}

void OV767X::readFrame(void *buffer)
{
    if (fread(buffer, 176 * 2, 144, stdin) != 144) {
        exit(1);
    }
}

int main()
{
    setup();
    for (;;) {
        loop();
    }
}
