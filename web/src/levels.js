// Payloads of strips to levels, in WebAssembly's memory; those of a constant rate are codes of patches as they are.

import { crc32 } from "./crc32.js";
import { HeqFormatError, HeqLimitError } from "./errors.js";
import { PACKED } from "./header.js";
import { CodeStrip } from "./patch_models.js";

export const LEVELS = 1024;
const SLICES = 6;
const NO_MEMORY = -1;
const WHOLE = 0, LOW = 1, HIGH = 2;

/** The slices that are whole at the beginning of a packed payload, up to the first that is not; and the bytes left. */
export function splitSlices(payload) {
  const slices = [];
  let at = 0;
  while (slices.length < SLICES) {
    let length = 0, end = at, factor = 1;
    while (end < at + 5 && end < payload.length && payload[end] >= 128) {
      length += (payload[end++] & 127) * factor;
      factor *= 128;
    }
    if (end === at + 5 || end >= payload.length) break;
    length += payload[end] * factor;
    if (end > at && !payload[end]) break;
    const start = end + 1 + (length > 0);
    if (start + length > payload.length) break;
    const code = payload.subarray(start, start + length);
    if (length && payload[end + 1] !== (crc32(code, crc32(Uint8Array.of(slices.length))) & 255)) break;
    slices.push(code);
    at = start + length;
  }
  return { slices, left: payload.length - at };
}

/**
 * The levels of a strip: pointers to int16 levels [patch][plane][1024] and uint8 sizes [patch]; `release` frees them.
 */
export class StripLevels {
  constructor(native, rows, columns, planes) {
    Object.assign(this, { native, rows, columns, planes, slices: SLICES });
    this.levels = native.allocate(rows * columns * planes * LEVELS * 2);
    try {
      this.sizes = native.allocate(rows * columns);
      native.view(Uint8Array, this.sizes, rows * columns).fill(0);
    } catch (error) {
      native.free(this.levels);
      throw error;
    }
  }

  release() {
    this.native.free(this.levels, this.sizes);
    this.levels = this.sizes = 0;
  }

  /** Copies: int16 (rows * columns, planes, 1024) and uint8 (rows * columns). */
  copies() {
    const patches = this.rows * this.columns;
    return {
      levels: this.native.view(Int16Array, this.levels, patches * this.planes * LEVELS).slice(),
      sizes: this.native.view(Uint8Array, this.sizes, patches).slice(),
    };
  }
}

/**
 * Decode a strip; of files of a constant rate it is a CodeStrip.
 *
 * @param {object} model from `loadModelOf`; its `packed` tables for coder 3.
 * @param {{rate: number, payload: Uint8Array}} strip
 * @param {number | null} slices of a packed strip: at most so many; null for all, which then must be whole.
 * @param {boolean} prefix whether fewer slices than were asked for will do.
 */
export function decodeStrip(model, header, rows, { rate, payload }, slices = null, prefix = false) {
  if (header.mode === 0) return new CodeStrip(payload, rows, header.columns, header.rate / 8);
  const { native } = model;
  const strip = new StripLevels(native, rows, header.columns, header.channels);
  try {
    if (header.coder === PACKED) decodePacked(model, strip, rate, payload, slices, prefix);
    else decodeDevice(model, strip, rate, payload, header.parts > 1 ? LOW : WHOLE);
    return strip;
  } catch (error) {
    strip.release();
    throw error;
  }
}

function check(result, message) {
  if (result === NO_MEMORY) throw new HeqLimitError("There is no memory for a strip of this width; decode a smaller image.");
  if (result) throw new HeqFormatError(message);
}

/** Add the second part of a progressive strip to the levels of the first; after an error they are of no use. */
export function decodeRest(model, strip, { rate, payload }) {
  decodeDevice(model, strip, rate, payload, HIGH);
}

function decodeDevice({ native, device }, strip, rate, payload, part) {
  const code = native.copy(payload);
  try {
    const { rows, columns, planes, levels, sizes } = strip;
    const result = native.calls.heq_decode_device(code, payload.length, rows, columns, planes, rate, part, device, levels, sizes);
    check(result, `a payload of ${payload.length} bytes is no device code of ${rows} x ${columns} patches.`);
  } finally {
    native.free(code);
  }
}

function decodePacked({ native, packed }, strip, rate, payload, wanted, prefix) {
  const { slices, left } = splitSlices(payload);
  const whole = wanted === null && !prefix;
  if (whole && slices.length < SLICES) throw new HeqFormatError(`a packed strip is damaged or cut off in slice ${slices.length} of ${SLICES}.`);
  if (whole && left) throw new HeqFormatError(`a packed strip has ${left} bytes too many.`);
  const codes = slices.slice(0, wanted ?? SLICES);
  while (codes.length) {
    const result = runPacked(native, packed, strip, rate, codes);
    strip.slices = codes.length;
    if (!result) return;
    if (whole) check(result, "a level of the packed stream is out of range.");
    if (result === NO_MEMORY) check(result);
    codes.pop();
  }
  throw new HeqFormatError("it holds no slice that is whole.");
}

function runPacked(native, tables, strip, rate, codes) {
  const total = codes.reduce((sum, code) => sum + code.length, 0), all = new Uint8Array(total);
  const ends = codes.map(((at) => (code) => {
    all.set(code, at);
    return (at += code.length);
  })(0));
  const pointers = [];
  try {
    pointers.push(native.copy(all));
    pointers.push(native.copy(Int32Array.from(ends)));
    const { rows, columns, planes, levels, sizes } = strip;
    return native.calls.heq_decode_packed(pointers[0], pointers[1], codes.length, rows, columns, planes, rate, tables, levels, sizes);
  } finally {
    native.free(...pointers);
  }
}
