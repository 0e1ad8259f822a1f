/* Packets of the patch-constant mode: codes of the same length, one after another; part of
 * heq_packets.c. No patch is split: codec/packets/codes.py fills them alike.
 */

static uint32_t step_of(const heq_state *encoder)
{
    return (uint32_t)encoder->bytes << 3;
}

/* Also: does a code fit into a packet that is no start packet? */
static int begin_mode(packet_state *state, const heq_image *image)
{
    size_t room = (size_t)state->link.size - HEAD_BYTES - CRC_BYTES;
    if (!mode_begin(&state->encoder, image)) {
        return 0;
    }
    if (room - (state->link.parity > 0 ? HEQ_PARITY_HEAD : 0) < state->encoder.bytes) {
        heq_file_fail(&state->encoder.file, HEQ_NO_ROOM);
    }
    return 1;
}

static void begin_payload(packet_state *state, uint8_t *bytes)
{
    (void)state;
    (void)bytes;
}

static size_t end_payload(packet_state *state)
{
    return state->length;
}

static void put_patch(packet_state *state, const heq_patch *patch, int cut)
{
    size_t length = state->encoder.bytes;
    const uint8_t *code = mode_code(&state->encoder, patch);
    uint8_t *payload;
    (void)cut;
    while (!state->open || state->left - state->length < length || state->held == MOST_HELD) {
        if (state->open) {
            close_packet(state, 0);
        }
        if (state->encoder.file.status != HEQ_OK || state->number >= state->end) {
            return;
        }
        open_packet(state, 0);
    }
    payload = state->bytes + HEAD_BYTES + (state->kind == KIND_START ? START_BYTES : 0);
    memcpy(payload + state->length, code, length);
    state->length += length;
    state->held++;
    state->position++;
}
