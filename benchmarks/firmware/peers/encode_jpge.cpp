/* The JPEG encoder of esp32-camera (conversions/jpge.cpp) for count.c: rows of RGB, 4:2:0, as its
 * to_jpg.cpp uses it. The setting is its quality, 1 to 100. */
#include "../count.h"
#include "jpge.h"

namespace
{
class Stream : public jpge::output_stream
{
  public:
    bool put_buf(const void *bytes, int count) override
    {
        length += (jpge::uint)count;
        return bytes == NULL || put_bytes(bytes, (size_t)count) == 0;
    }

    jpge::uint get_size() const override
    {
        return length;
    }

  private:
    jpge::uint length = 0;
};
} // namespace

/* Of the virtual destructor; nothing is deleted here. */
void operator delete(void *, size_t) noexcept
{
}

int encode_image(const count_image *from)
{
    Stream stream;
    jpge::jpeg_encoder encoder;
    jpge::params chosen;
    chosen.m_quality = from->setting;
    chosen.m_subsampling = jpge::H2V2;
    if (!encoder.init(&stream, (int)from->width, (int)from->height, 3, chosen)) {
        return 1;
    }
    for (uint32_t row = 0; row < from->height; row++) {
        if (!encoder.process_scanline(from->pixels + (size_t)row * from->width * 3)) {
            return 1;
        }
    }
    return !encoder.process_scanline(NULL);
}
