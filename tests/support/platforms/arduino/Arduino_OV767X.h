/* What the examples use of the library Arduino_OV767X. */
#ifndef ARDUINO_OV767X_H
#define ARDUINO_OV767X_H

#include <Arduino.h>

enum { YUV422 = 0, RGB444 = 1, RGB565 = 2 };
enum { VGA = 0, CIF = 1, QVGA = 2, QCIF = 3 };

class OV767X
{
  public:
    int begin(int resolution, int format, int fps);
    void readFrame(void *buffer);
};

extern OV767X Camera;

#endif
