// Where strips and chunks lie in a file: by heads that follow each other, or, read in part, by a search of what is whole
// behind the place where they lead nowhere. See "Damage" in docs/FORMAT.md.

import { combined, crc32, CrcRanges } from "./crc32.js";
import { HeqFormatError, HeqTruncatedError } from "./errors.js";
import { HEADER_LENGTH, viewOf } from "./header.js";

export const NOT_SENT = 65535;
export const OVERHEAD = 12;
const KNOWN_CHUNKS = new Set(["ICCP", "EXIF", "XMP_", "ALPH", "END_"]);

/** Rows of patches in strip `index`. */
export const stripHeight = (header, index) => Math.min(header.stripRows, header.rows - (index % header.rowStrips) * header.stripRows);

/** Bytes of a strip's payload, in files of a constant rate. */
export const fixedLength = (header, index) => (stripHeight(header, index) * header.columns * header.rate) / 8;

/** Whether a strip may have this rate and length. */
export function validRate(header, rate, length) {
  return header.mode === 0 ? rate === header.rate : rate < 1024 || (rate === NOT_SENT && length === 0);
}

export const isChunkType = (type) => /^[A-Za-z][A-Za-z_]{3}$/.test(type);

export const textAt = (bytes, at) => String.fromCharCode(...bytes.subarray(at, at + 4));

function headAt(view, at) {
  return { index: view.getUint16(at, true), rate: view.getUint16(at + 2, true), length: view.getUint32(at + 4, true) };
}

/** Strict reading: heads are followed as far as needed, and must be right. */
class Chained {
  constructor(header, bytes) {
    Object.assign(this, { header, bytes, view: viewOf(bytes), starts: [HEADER_LENGTH] });
  }

  /** Where a strip lies: {start, stop, closed}. */
  at(index) {
    while (this.starts.length <= index + 1) this.starts.push(this.following(this.starts.length - 1, this.starts.at(-1)));
    return { start: this.starts[index], stop: this.starts[index + 1], closed: true };
  }

  get chunks() {
    return this.at(this.header.strips - 1).stop;
  }

  following(index, at) {
    const { header, bytes } = this, left = bytes.length - at - OVERHEAD;
    if (left < 0) throw new HeqTruncatedError(`The file ends before strip ${index} of ${header.strips}; get a complete copy, or decode with partial.`);
    const head = headAt(this.view, at), length = header.mode === 0 ? fixedLength(header, index) : head.length;
    if (header.mode !== 0 && (head.index !== index || !validRate(header, head.rate, length))) {
      throw new HeqFormatError(`At byte ${at} strip ${index} of ${header.strips} was expected, and number ${head.index} was found; get another copy, or decode with partial.`);
    }
    if (length > left) throw new HeqTruncatedError(`Strip ${index} announces ${length} bytes and only ${left} are there; get a complete copy, or decode with partial.`);
    return at + OVERHEAD + length;
  }
}

/** Where strips lie, `at(index)`, null where nothing of one was found; and where the `chunks` begin. */
export function stripPlaces(header, bytes, partial) {
  if (!partial) return new Chained(header, bytes);
  const { strips, chunks } = new Search(header, bytes).places();
  return { at: (index) => strips[index] ?? null, chunks };
}

/** The rate with which a strip of this place has the checksum that is stored, or null. */
export function rateByChecksum(header, index, bytes, start, stop) {
  const payload = bytes.subarray(start + 8, stop - 4), crc = crc32(payload), stored = viewOf(bytes).getUint32(stop - 4, true);
  const head = new Uint8Array(8), view = viewOf(head);
  view.setUint16(0, index, true);
  view.setUint32(4, payload.length, true);
  for (let rate = 0; rate <= 1024; rate++) {
    const given = header.mode === 0 ? header.rate : rate < 1024 ? rate : NOT_SENT;
    view.setUint16(2, given, true);
    if (combined(crc32(head), crc, payload.length) === stored && validRate(header, given, payload.length)) return given;
    if (header.mode === 0) break;
  }
  return null;
}

/** Reading in part. */
class Search {
  constructor(header, bytes) {
    Object.assign(this, { header, bytes, size: bytes.length, view: viewOf(bytes), strips: new Array(header.strips) });
  }

  places() {
    let [place, index] = this.followed(HEADER_LENGTH, 0, this.header.strips, null);
    if (index < this.header.strips) place = this.searchFrom(place, index);
    return { strips: this.strips, chunks: Math.min(place, this.size) };
  }

  /** Follow heads of strips `first` to `last - 1` from a place; `end` is where the last ends, null if unknown. */
  followed(place, first, last, end) {
    for (let index = first; index < last; index++) {
      const stop = this.stop(place, index);
      if (stop > (end ?? this.size)) return [place, index];
      // What follows in its place speaks for the length; without it the checksum does.
      const trusted = end !== null || index + 1 < this.header.strips;
      const leads = stop === end || (trusted && this.begins(stop, index + 1));
      if (!leads && rateByChecksum(this.header, index, this.bytes, place, stop) === null) return [place, index];
      this.strips[index] = { start: place, stop, closed: true };
      place = stop;
    }
    return [place, last];
  }

  stop(start, index) {
    if (start + OVERHEAD > this.size) return this.size + 1;
    return start + OVERHEAD + (this.header.mode === 0 ? fixedLength(this.header, index) : headAt(this.view, start).length);
  }

  begins(place, index) {
    if (place + OVERHEAD > this.size) return false;
    if (index === this.header.strips) return KNOWN_CHUNKS.has(textAt(this.bytes, place));
    const head = headAt(this.view, place);
    return head.index === index && validRate(this.header, head.rate, head.length);
  }

  searchFrom(begin, index) {
    const { header } = this, ranges = new CrcRanges(this.bytes);
    let place = begin;
    for (const record of longestRising(this.wholeStrips(begin, index, ranges))) {
      this.fill(place, record.start, index, record.index);
      this.strips[record.index] = { start: record.start, stop: record.stop, closed: true };
      [place, index] = [record.stop, record.index + 1];
    }
    if (index === header.strips) return place;
    return this.fill(place, nextChunk(this.bytes, place, ranges), index, header.strips);
  }

  wholeStrips(begin, first, ranges) {
    const { header, view, size } = this, found = [];
    for (let start = begin; start + OVERHEAD <= size; start++) {
      const { index, rate, length } = headAt(view, start), stop = start + OVERHEAD + length;
      if (index < first || index >= header.strips || stop > size || !validRate(header, rate, length)) continue;
      if (header.mode === 0 && length !== fixedLength(header, index)) continue;
      if (ranges.of(start, stop - 4) === view.getUint32(stop - 4, true)) found.push({ start, stop, index });
    }
    return found;
  }

  /** Places of the damaged strips `first` to `last - 1` between two that are whole; where the last seems to end. */
  fill(begin, end, first, last) {
    const { header } = this;
    let stop = end ?? this.size, index;
    [begin, index] = this.followed(begin, first, last, stop);
    if (index === last) return begin;
    if (header.mode === 0 && end !== null) {
      while (last > index) {
        const start = stop - OVERHEAD - fixedLength(header, last - 1);
        if (start < begin || rateByChecksum(header, last - 1, this.bytes, start, stop) === null) break;
        this.strips[--last] = { start, stop, closed: true };
        stop = start;
      }
    }
    if (index < last) this.strips[index] = { start: begin, stop, closed: last - index === 1 && end !== null && stop - begin >= OVERHEAD };
    return end ?? this.size;
  }
}

/** The longest row of records, one after the other in the file, with rising indices. */
function longestRising(records) {
  const rows = [], tails = [], ended = [...records.keys()].sort((a, b) => records[a].stop - records[b].stop);
  let next = 0;
  const settle = (place) => {
    for (; next < ended.length && records[ended[next]].stop <= place; next++) {
      const number = ended[next], { length } = rows[number];
      if (length === tails.length || records[number].index < records[tails[length]].index) tails[length] = number;
    }
  };
  records.forEach((record, number) => {
    settle(record.start);
    let low = 0, high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (records[tails[middle]].index < record.index) low = middle + 1;
      else high = middle;
    }
    rows[number] = { length: low, before: low ? tails[low - 1] : -1 };
  });
  settle(Infinity);
  const chosen = [];
  for (let number = tails.length ? tails[tails.length - 1] : -1; number >= 0; number = rows[number].before) chosen.push(records[number]);
  return chosen.reverse();
}

/** Offset of the first whole chunk at a place or behind it, or null. */
export function nextChunk(bytes, from, ranges) {
  const view = viewOf(bytes);
  for (let start = from; start + OVERHEAD <= bytes.length; start++) {
    const first = bytes[start] | 32;
    if (first < 97 || first > 122 || !isChunkType(textAt(bytes, start))) continue;
    const stop = start + OVERHEAD + view.getUint32(start + 4, true);
    if (stop <= bytes.length && ranges.of(start, stop - 4) === view.getUint32(stop - 4, true)) return start;
  }
  return null;
}
