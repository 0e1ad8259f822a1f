// Files that are still coming: strips are painted as their bytes arrive, slices of packed strips and the first part of
// progressive files before the rest.

import { breather, decode, paint } from "./decode.js";
import { HeqFormatError } from "./errors.js";
import { plainRows } from "./frame.js";
import { checkPixels, DEFAULT_MAX_PIXELS, HEADER_LENGTH, PACKED, parseHeader, viewOf } from "./header.js";
import { decodeRest, decodeStrip, splitSlices } from "./levels.js";
import { checkModel, loadModelOf } from "./model.js";
import { crc32 } from "./crc32.js";
import { validRate, NOT_SENT, OVERHEAD, stripHeight } from "./places.js";

/** See index.d.ts. */
export class StreamDecoder {
  constructor(options = {}) {
    Object.assign(this, { options, header: null, received: 0, buffer: new Uint8Array(1 << 16), at: HEADER_LENGTH, index: 0, shown: 0 });
    this.firstParts = [];
    this.broken = false;
  }

  get bytes() {
    return this.buffer.subarray(0, this.received);
  }

  /** Take more bytes; the strips that they complete or refine. */
  async push(chunk) {
    this.append(chunk);
    if (!this.header) {
      if (this.received < HEADER_LENGTH) return [];
      this.header = parseHeader(this.bytes);
      checkPixels(this.header, this.options.maxPixels === undefined ? DEFAULT_MAX_PIXELS : this.options.maxPixels);
      checkModel(this.header);
    }
    this.model ??= await loadModelOf(this.header, this.options);
    const painted = [], rest = breather();
    for (let strip; (strip = this.next()); await rest()) if (strip.image) painted.push(strip.image);
    return painted;
  }

  /** The whole image, verified as by `decode`. */
  end(options = {}) {
    return decode(this.bytes, { ...this.options, ...options });
  }

  append(chunk) {
    if (this.received + chunk.length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(2 * this.buffer.length, this.received + chunk.length));
      larger.set(this.bytes);
      this.buffer = larger;
    }
    this.buffer.set(chunk, this.received);
    this.received += chunk.length;
  }

  /** One step further, {image}; null where more bytes are needed, or nothing can be shown before the end. */
  next() {
    const { header, bytes, at, index } = this;
    if (this.broken || index >= header.strips || at + 8 > bytes.length) return null;
    const view = viewOf(bytes), rate = view.getUint16(at + 2, true), length = view.getUint32(at + 4, true), stop = at + OVERHEAD + length;
    if (view.getUint16(at, true) !== index || !validRate(header, rate, length)) return this.stopped();
    if (stop > bytes.length) return header.coder === PACKED && rate !== NOT_SENT ? this.sliced(rate, bytes.subarray(at + 8)) : null;
    if (crc32(bytes.subarray(at, stop - 4)) !== view.getUint32(stop - 4, true)) return this.stopped();
    Object.assign(this, { at: stop, index: index + 1, shown: 0 });
    return { image: rate === NOT_SENT ? null : this.decoded(index, { rate, payload: bytes.slice(at + 8, stop - 4) }) };
  }

  /** After damage `end` says what is wrong, or decodes the rest. */
  stopped() {
    this.broken = true;
    return null;
  }

  sliced(rate, payload) {
    const { length } = splitSlices(payload).slices;
    if (length <= this.shown) return null;
    this.shown = length;
    return { image: this.painted(this.index, rate, (rows) => decodeStrip(this.model, this.header, rows, { rate, payload }, length, true), false) };
  }

  decoded(index, strip) {
    const { header, model, firstParts } = this;
    if (header.parts === 1) return this.painted(index, strip.rate, (rows) => decodeStrip(model, header, rows, strip), true);
    if (index < header.rowStrips) {
      firstParts[index] = strip;
      return this.painted(index, strip.rate, (rows) => decodeStrip(model, header, rows, strip), false);
    }
    const first = firstParts[index - header.rowStrips];
    if (!first || first.rate !== strip.rate) return null;
    return this.painted(index, strip.rate, (rows) => {
      const levels = decodeStrip(model, header, rows, first);
      try {
        decodeRest(model, levels, strip);
      } catch (error) {
        levels.release();
        throw error;
      }
      return levels;
    }, true);
  }

  /** A strip as an image {y, width, height, data, whole}, or null where its payload is none. */
  painted(index, rate, decoded, whole) {
    const { header, model } = this, { columns, channels, width } = header;
    const y = 32 * (index % header.rowStrips) * header.stripRows, patchRows = stripHeight(header, index);
    const height = Math.min(32 * patchRows, header.height - y), data = new Uint8ClampedArray(4 * width * height);
    let levels, rows;
    try {
      levels = decoded(patchRows);
      rows = plainRows(model, columns, channels, header.weighted);
      for (let row = 0; row < patchRows; row++) {
        paint(data, [0, y, width, height], rows.row(levels, row, rate, 0, columns), channels, 32 * columns, y + 32 * row, 0);
      }
    } catch (error) {
      if (!(error instanceof HeqFormatError)) throw error;
      return null;
    } finally {
      levels?.release();
      rows?.release();
    }
    return { y, width, height, data, whole };
  }
}

/** See index.d.ts. */
export async function decodeStream(stream, { onHeader, onStrip, ...options } = {}) {
  const decoder = new StreamDecoder(options), reader = stream.getReader();
  let told = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const strips = await decoder.push(value);
      if (decoder.header && !told) {
        told = true;
        onHeader?.(decoder.header.width, decoder.header.height);
      }
      for (const strip of strips) onStrip?.(strip);
    }
  } catch (error) {
    reader.cancel(error).catch(() => {});
    throw error;
  }
  return decoder.end();
}
