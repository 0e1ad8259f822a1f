/* Packets of the variable-rate mode, each packet's patches coded from the start: part of
 * heq_packets.c.
 *
 * The coder's state before a patch is kept, so that the patch can be taken out again where it does
 * not fit, and its lower bands alone put in: codec/packets/filling.py decides the same.
 */

#define LEAST_ROOM 6 /* bytes that a packet may be short of full before a patch is split */

static const uint8_t packet_cuts[27] = {1,  2,  3,  4,  5,  6,  7,  8,  10, 12,  14,  16,  20, 24,
                                        28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224};

/* Levels of a patch. */
static void make_levels(heq_state *state, const heq_patch *patch, coded_patch *made)
{
    quantize(state, patch, made);
    settle(state, made);
}

/* ---- Levels of a patch, in part ----------------------------------------------------------- */

#ifdef HEQ_KERNEL_FAST

typedef struct {
    int16_t levels[3 * HEQ_LEVELS];
} removed_levels;

static int keep_begin(coded_patch *patch, int planes, int end, removed_levels *removed)
{
    int plane, any = 0;
    memcpy(removed->levels, patch->levels.levels, sizeof removed->levels);
    for (plane = 0; plane < planes; plane++) {
        any |= last_level(patch, plane, end);
        memset(patch->levels.levels + (plane << 10) + end, 0,
               sizeof(int16_t) * (size_t)(HEQ_LEVELS - end));
    }
    return any;
}

static void put_back(coded_patch *patch, int planes, int end, const removed_levels *removed)
{
    (void)planes;
    (void)end;
    memcpy(patch->levels.levels, removed->levels, sizeof removed->levels);
}

static void drop_begin(coded_patch *patch, int planes, int end)
{
    int plane;
    for (plane = 0; plane < planes; plane++) {
        memset(patch->levels.levels + (plane << 10) + 1, 0, sizeof(int16_t) * (size_t)(end - 1));
    }
}

#else

/* The levels of a group of the coder: beyond it, `last` says that there is nothing. */
typedef struct {
    int16_t codes[3][HEQ_DEVICE_LEVELS / HEQ_DEVICE_GROUPS];
    int last[3];
} removed_levels;

/* Leave a patch the levels before one, and level 0. Returns whether there are any but that. */
static int keep_begin(coded_patch *patch, int planes, int end, removed_levels *removed)
{
    int plane, index, any = 0;
    for (plane = 0; plane < planes; plane++) {
        for (index = end; (index & 31) != 0; index++) {
            removed->codes[plane][index & 31] = *code_at(patch, plane, index);
            *code_at(patch, plane, index) = 0;
        }
        removed->last[plane] = patch->fields[plane]->known.last;
        if (removed->last[plane] >= end) {
            patch->fields[plane]->known.last = last_level(patch, plane, end);
        }
        any |= patch->fields[plane]->known.last;
    }
    return any;
}

static void put_back(coded_patch *patch, int planes, int end, const removed_levels *removed)
{
    int plane, index;
    for (plane = 0; plane < planes; plane++) {
        for (index = end; (index & 31) != 0; index++) {
            *code_at(patch, plane, index) = removed->codes[plane][index & 31];
        }
        patch->fields[plane]->known.last = removed->last[plane];
    }
}

/* Leave a patch the levels from one on, and level 0. */
static void drop_begin(coded_patch *patch, int planes, int end)
{
    int plane, index;
    for (plane = 0; plane < planes; plane++) {
        for (index = 1; index < end; index++) {
            *code_at(patch, plane, index) = 0;
        }
        if (patch->fields[plane]->known.last < end) {
            patch->fields[plane]->known.last = 0;
        }
    }
}

#endif

/* ---- Payloads ----------------------------------------------------------------------------- */

static uint32_t step_of(const heq_state *encoder)
{
    return encoder->step;
}

static int begin_mode(packet_state *state, const heq_image *image)
{
    state->encoder.step = image->rate;
    state->encoder.tune = image->tune;
    take_steps(&state->encoder, image->rate & 1023);
    return image->rate < 1024 && image->tune <= HEQ_TUNE_TEXTURE && !image->progressive;
}

static void begin_payload(packet_state *state, uint8_t *bytes)
{
    heq_device_begin_encode(&state->encoder.strip, &device_tables, state->encoder.file.channels,
                            state->encoder.step, bytes, state->left + SLACK);
}

static size_t end_payload(packet_state *state)
{
    return heq_device_end_encode(&state->encoder.strip);
}

/* How many bytes the payload would have if it ended here. */
static size_t length_here(heq_device_strip *strip)
{
    size_t place = strip->place, run = strip->run, length;
    uint32_t low = strip->low;
    int bits = strip->bits, cache = strip->cache;
    length = heq_device_end_encode(strip);
    strip->place = place;
    strip->run = run;
    strip->low = low;
    strip->bits = bits;
    strip->cache = cache;
    return length;
}

/* Put the longest beginning of a patch that fits into the packet. Returns the bands that it has; 0:
 * nothing but the means would fit, and the packet is as it was. */
static int put_begin(packet_state *state, coded_patch *patch)
{
    heq_device_strip *strip = &state->encoder.strip;
    removed_levels removed;
    int planes = state->encoder.file.channels, first = state->held == 0;
    int low = 0, high = (int)sizeof packet_cuts, tried = 0, best = 0, end;
    while (low < high) {
        int middle = (low + high) >> 1, any;
        size_t length;
        memcpy(strip, &state->before, sizeof *strip);
        tried = packet_cuts[middle];
        any = keep_begin(patch, planes, tried << 2, &removed);
        encode_levels(&state->encoder, patch, first);
        put_back(patch, planes, tried << 2, &removed);
        length = length_here(strip);
        if (length > state->left) {
            high = middle;
        } else {
            low = middle + 1;
            best = any ? tried : best;
        }
    }
    if (best != tried || best == 0) {
        memcpy(strip, &state->before, sizeof *strip);
        if (best != 0) {
            end = best << 2;
            keep_begin(patch, planes, end, &removed);
            encode_levels(&state->encoder, patch, first);
            put_back(patch, planes, end, &removed);
        }
    }
    if (best != 0) {
        drop_begin(patch, planes, best << 2);
        state->held++;
    }
    return best;
}

/* Put the levels of a patch into packets, without the bands that a packet before has. */
static void put_levels(packet_state *state, coded_patch *patch, int cut)
{
    heq_device_strip *strip = &state->encoder.strip;
    if (cut > 0) {
        drop_begin(patch, state->encoder.file.channels, cut << 2);
    }
    while (state->encoder.file.status == HEQ_OK && state->number < state->end) {
        size_t length;
        if (state->open && state->held == MOST_HELD) {
            close_packet(state, 0);
        }
        if (!state->open) {
            open_packet(state, cut);
        }
        memcpy(&state->before, strip, sizeof *strip);
        encode_levels(&state->encoder, patch, state->held == 0);
        length = length_here(strip);
        if (length <= state->left) {
            state->held++;
            state->length = length;
            state->position++;
            return;
        }
        if (state->held == 0 || state->left - state->length >= LEAST_ROOM) {
            int bands = put_begin(state, patch);
            if (bands > 0) {
                close_packet(state, BIT_CONTINUES);
                cut = bands;
                continue;
            }
        }
        memcpy(strip, &state->before, sizeof *strip);
        if (state->held == 0 && state->kind != KIND_START) {
            heq_file_fail(&state->encoder.file, HEQ_NO_ROOM);
            return;
        }
        close_packet(state, 0);
    }
}

static void put_patch(packet_state *state, const heq_patch *patch, int cut)
{
    coded_patch coded;
    make_levels(&state->encoder, patch, &coded);
    put_levels(state, &coded, cut);
}
