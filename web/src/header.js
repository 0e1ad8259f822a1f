import { crc32 } from "./crc32.js";
import { HeqChecksumError, HeqFormatError, HeqLimitError, HeqTruncatedError, HeqUnsupportedError } from "./errors.js";

export const HEADER_LENGTH = 44;
/** Coders by number. */
export const CODERS = ["none", "patch", "device", "packed"];
export const DEVICE = 2, PACKED = 3;
/** Pillow's limit, as in Python. */
export const DEFAULT_MAX_PIXELS = 89478485;
const MAGIC = [0x89, 0x48, 0x45, 0x51, 0x0d, 0x0a, 0x1a, 0x0a];
const SMALL_FRAME = 1 << 20;
const MOST_STRIPS = 1 << 16;
const GREY_AS_RGB = 129, WEIGHTED = 64;

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The verified header of a file; see docs/FORMAT.md. */
export function parseHeader(bytes) {
  if (!bytes.length || MAGIC.some((byte, i) => i < bytes.length && byte !== bytes[i])) {
    throw new HeqFormatError(`This is not a .heq file: it begins with ${hex(bytes.subarray(0, 8)) || "nothing"}.`);
  }
  if (bytes.length < HEADER_LENGTH) {
    throw new HeqTruncatedError(`The file ends inside its header: ${bytes.length} of ${HEADER_LENGTH} bytes found.`);
  }
  const view = viewOf(bytes);
  const expected = crc32(bytes.subarray(0, 40));
  if (view.getUint32(40, true) !== expected) {
    throw new HeqChecksumError("The header is damaged; get another copy, or decode with partial.");
  }
  if (bytes[8] !== 1) throw new HeqUnsupportedError(`The file has format version ${bytes[8]}; this package reads version 1.`);
  const channels = bytes[11] & ~WEIGHTED, greyAsRgb = channels === GREY_AS_RGB;
  const header = {
    mode: bytes[9], coder: bytes[10], channels: greyAsRgb ? 1 : channels, greyAsRgb, weighted: (bytes[11] & WEIGHTED) !== 0,
    width: view.getUint32(12, true), height: view.getUint32(16, true), rate: view.getUint16(20, true),
    stripRows: bytes[22], deviceRows: bytes[23], encoderId: hex(bytes.subarray(24, 32)), coderId: hex(bytes.subarray(32, 40)),
  };
  checkHeader(header);
  header.rows = Math.ceil(header.height / 32);
  header.columns = Math.ceil(header.width / 32);
  // A progressive device file has two strips for the same rows: see mode 2.
  header.parts = header.mode === 2 && header.coder === DEVICE ? 2 : 1;
  header.rowStrips = Math.ceil(header.rows / header.stripRows);
  header.strips = header.parts * header.rowStrips;
  if (header.strips > MOST_STRIPS) throw new HeqFormatError(`The image has ${header.strips} strips; a file has at most ${MOST_STRIPS}.`);
  if (header.mode === 0 && header.stripRows * header.columns * (header.rate / 8) > 0xffffffff) {
    throw new HeqFormatError("One strip would need more bytes than its length can say.");
  }
  return header;
}

function checkHeader({ mode, coder, channels, weighted, width, height, rate, stripRows, deviceRows, coderId }) {
  if (mode > 2 || coder > PACKED) throw new HeqUnsupportedError(`The file has mode ${mode} and coder ${coder}; this package knows neither.`);
  if ((mode === 0) !== coder < DEVICE) throw new HeqFormatError(`Coder ${coder} does not go with mode ${mode}.`);
  if (coder === 0 && coderId !== "0".repeat(16)) throw new HeqFormatError("Coder 0 has no tables, so its coder_id must be zeros.");
  if (coder === PACKED && !deviceRows) throw new HeqFormatError("The packed file does not say the rows of its device file.");
  if (coder !== PACKED && deviceRows) throw new HeqUnsupportedError(`Header byte 23 is ${deviceRows}; 0 was expected.`);
  if (channels !== 1 && channels !== 3) throw new HeqFormatError(`The file has ${channels} channels; 1, 3 or 129 were expected.`);
  if (mode === 0 && weighted) throw new HeqFormatError("Of a constant rate no coefficients are weighted.");
  if (!width || !height) throw new HeqFormatError(`The image is ${width} x ${height} pixels; both must be at least 1.`);
  if (!stripRows) throw new HeqFormatError("A strip has 0 patch rows; 1 to 255 were expected.");
  if (mode === 0 && (rate < 8 || rate % 8)) throw new HeqFormatError(`The rate is ${rate} bits per patch; a multiple of 8 was expected.`);
  if (mode !== 0 && rate > 1023) throw new HeqFormatError(`The step index is ${rate}; 0 to 1023 were expected.`);
}

/** Throw unless an image of this size may be decoded; `maxPixels` null for no limit. */
export function checkPixels({ width, height, rows, columns }, maxPixels) {
  if (maxPixels === null) return;
  if (!Number.isInteger(maxPixels) || maxPixels < 1) throw new HeqLimitError(`maxPixels is ${maxPixels}; give a whole number from 1, or null.`);
  const padded = rows * columns * 1024;
  if (width * height > maxPixels || padded > Math.max(maxPixels, SMALL_FRAME)) {
    throw new HeqLimitError(`The image of ${width} x ${height} pixels pads to ${padded} and the limit is ${maxPixels}; if you trust it, raise maxPixels.`);
  }
}

/** The header with its one damaged byte put right, or null where the damage is larger. */
export function repairedHeader(bytes) {
  if (bytes.length < HEADER_LENGTH) return null;
  const given = bytes.slice(0, HEADER_LENGTH), stored = viewOf(given).getUint32(40, true);
  const syndrome = (crc32(given.subarray(0, 40)) ^ stored) >>> 0;
  const clean = crc32(new Uint8Array(40)), probe = new Uint8Array(40);
  for (let at = 0; at < HEADER_LENGTH; at++) {
    for (let value = 1; value < 256; value++) {
      let own = (value << (8 * (at - 40))) >>> 0;
      if (at < 40) {
        probe[at] = value;
        own = (crc32(probe) ^ clean) >>> 0;
        probe[at] = 0;
      }
      if (own === syndrome) {
        given[at] ^= value;
        return given;
      }
    }
  }
  return null;
}
