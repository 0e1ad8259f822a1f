// Strips and chunks of a file: verified before they are used; read in part, what is damaged is listed.

import { crc32, CrcRanges } from "./crc32.js";
import { HeqChecksumError, HeqError, HeqFormatError, HeqTruncatedError, HeqUnsupportedError } from "./errors.js";
import { checkPixels, HEADER_LENGTH, parseHeader, repairedHeader, viewOf } from "./header.js";
import { fixedLength, isChunkType, validRate, nextChunk, NOT_SENT, OVERHEAD, rateByChecksum, stripHeight, stripPlaces, textAt } from "./places.js";

export { NOT_SENT, stripHeight };
const KNOWN_CHUNKS = new Set(["ICCP", "EXIF", "XMP_", "ALPH", "END_"]);

/** A file: its header, and `strip(index)` and `chunks()` on demand. */
export class Container {
  /**
   * @param {Uint8Array} bytes of the whole file.
   * @param {{maxPixels?: number | null, partial?: boolean}} options
   */
  constructor(bytes, { maxPixels, partial = false }) {
    Object.assign(this, { bytes, partial, view: viewOf(bytes), damagedStrips: new Set(), damagedChunks: [], repaired: [] });
    this.header = this.readHeader();
    const { header } = this;
    checkPixels(header, maxPixels);
    const payload = header.mode === 0 ? (header.rows * header.columns * header.rate) / 8 : 0;
    const least = HEADER_LENGTH + OVERHEAD * header.strips + payload + OVERHEAD;
    if (!partial && bytes.length < least) {
      throw new HeqTruncatedError(`The file is cut short: ${bytes.length} bytes found, at least ${least} needed; get a complete copy, or decode with partial.`);
    }
    this.places = null;
  }

  readHeader() {
    try {
      return parseHeader(this.bytes);
    } catch (error) {
      const repaired = this.partial && error instanceof HeqError ? repairedHeader(this.bytes) : null;
      if (!repaired) throw error;
      const header = parseHeader(repaired);
      this.repaired.push("header");
      return header;
    }
  }

  /** Where strips lie, and where the chunks begin. */
  found() {
    return (this.places ??= stripPlaces(this.header, this.bytes, this.partial));
  }

  /** Rate and payload of a strip, verified; null where it is damaged and the file is read in part. */
  strip(index) {
    const { header, bytes, view, partial } = this, place = this.found().at(index);
    const { start, stop } = place ?? {}, length = stop - start - OVERHEAD;
    if (!place?.closed || stop > bytes.length || (header.mode === 0 && length !== fixedLength(header, index))) {
      this.damagedStrips.add(index);
      return null;
    }
    let rate = view.getUint16(start + 2, true);
    const named = view.getUint16(start, true) === index && view.getUint32(start + 4, true) === length && validRate(header, rate, length);
    const whole = crc32(bytes.subarray(start, stop - 4)) === view.getUint32(stop - 4, true);
    if (!whole && !partial) throw new HeqChecksumError(`Strip ${index} is damaged: its CRC-32 is another; get another copy, or decode with partial.`);
    if (!named && !partial) throw new HeqFormatError(`Strip ${index} calls itself another; decode with partial to keep the rest.`);
    if (!whole || !named) {
      rate = rateByChecksum(header, index, bytes, start, stop);
      if (rate === null) {
        this.damagedStrips.add(index);
        return null;
      }
      if (!this.repaired.includes(`strip ${index}`)) this.repaired.push(`strip ${index}`);
    }
    return { rate, sent: header.mode === 0 || rate !== NOT_SENT, payload: bytes.subarray(start + 8, stop - 4) };
  }

  /** What is left of a damaged strip, unverified, or null. */
  remains(index) {
    const { header, bytes, view } = this, place = this.found().at(index);
    if (header.mode === 0 || !place) return null;
    const begin = place.start + 8;
    let stop = Math.min(place.stop - (place.closed ? 4 : 0), bytes.length);
    if (stop <= begin) return null;
    const rate = view.getUint16(place.start + 2, true), length = view.getUint32(place.start + 4, true);
    if ((view.getUint16(place.start, true) !== index && length !== stop - begin) || rate > 1023) return null;
    if (!place.closed) stop = Math.min(stop, begin + length);
    return { rate, payload: bytes.subarray(begin, stop) };
  }

  /** Data of the chunks in the order of the file, END_ left out: [type, data]. */
  chunks() {
    const found = [], seen = new Set();
    let at = this.found().chunks, ranges = null;
    for (;;) {
      let chunk = null;
      try {
        chunk = this.chunk(at);
      } catch (error) {
        if (!(error instanceof HeqError) || !(this.partial || this.isIndex(at))) throw error;
      }
      if (!chunk && !this.partial) {
        at += 4 * this.header.strips + 16; // past a damaged index
        continue;
      }
      if (!chunk) {
        const type = textAt(this.bytes, at);
        this.damagedChunks.push(at >= this.bytes.length ? "END_" : isChunkType(type) ? type : "?");
        ranges ??= new CrcRanges(this.bytes);
        const next = nextChunk(this.bytes, this.end(at, ranges) ?? at + 1, ranges);
        if (next === null) return found;
        at = next;
        continue;
      }
      const { type, data, end } = chunk;
      if (type === "END_") {
        if (end === this.bytes.length) return found;
        if (!this.partial) throw new HeqFormatError(`${this.bytes.length - end} bytes follow the end of the file; cut them off, or decode with partial.`);
        this.damagedChunks.push("after END_");
        return found;
      }
      if (!seen.has(type) || type >= "a") found.push([type, data]);
      else if (this.partial) this.damagedChunks.push(type);
      else throw new HeqFormatError(`Chunk ${type} appears twice; one was expected.`);
      seen.add(type);
      at = end;
    }
  }

  /** Whether a damaged index of strips, which nothing needs, lies at a place. */
  isIndex(at) {
    const { bytes, header } = this, data = 4 * header.strips + 4;
    if (header.mode === 0 || at !== bytes.length - data - 24) return false;
    const head = new Uint8Array(8);
    new TextEncoder().encodeInto("sIDX", head);
    viewOf(head).setUint32(4, data, true);
    return textAt(bytes, at) === "sIDX" || crc32(bytes.subarray(at + 8, at + 8 + data), crc32(head)) === this.view.getUint32(at + 8 + data, true);
  }

  /** End of the chunk at a place, if it is whole there. */
  end(at, ranges) {
    return nextChunk(this.bytes, at, ranges) === at ? at + OVERHEAD + this.view.getUint32(at + 4, true) : null;
  }

  chunk(at) {
    const { bytes, view } = this;
    if (at + OVERHEAD > bytes.length) throw new HeqTruncatedError("The file ends without its END_ chunk; get a complete copy, or decode with partial.");
    const type = textAt(bytes, at), length = view.getUint32(at + 4, true), end = at + OVERHEAD + length;
    if (!isChunkType(type)) throw new HeqFormatError(`At byte ${at} a chunk was expected; the file is damaged; get another copy, or decode with partial.`);
    if (end > bytes.length) throw new HeqTruncatedError(`Chunk ${type} announces ${length} bytes and fewer are there; get a complete copy, or decode with partial.`);
    if (crc32(bytes.subarray(at, end - 4)) !== view.getUint32(end - 4, true)) throw new HeqChecksumError(`Chunk ${type} is damaged: its CRC-32 is another.`);
    if (!KNOWN_CHUNKS.has(type) && type < "a") throw new HeqUnsupportedError(`The file has a chunk ${type} that is needed and not known here.`);
    if (type === "END_" && length) throw new HeqFormatError(`The END_ chunk has ${length} bytes of data; none were expected.`);
    return { type, data: bytes.subarray(at + 8, end - 4), end };
  }
}
