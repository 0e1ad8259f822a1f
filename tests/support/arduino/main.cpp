/* What Arduino does with a sketch, for one photograph. */
#include "Arduino.h"

#include "lora_camera.ino"

int main()
{
    setup();
    loop();
    return 0;
}
