// CRC-32 of zlib, and that of any range of bytes from those of the beginnings that end at its borders.

const POLYNOMIAL = 0xedb88320;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ POLYNOMIAL : byte >>> 1;
  return byte;
});

/** Go on with a CRC-32 over more bytes. */
export function crc32(bytes, start = 0) {
  let crc = ~start;
  for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Product of two polynomials modulo the CRC's, bits reversed: 0x80000000 is 1. */
function product(a, b) {
  let sum = 0;
  for (let bit = 31; bit >= 0 && b; bit--) {
    if ((a >>> bit) & 1) sum ^= b;
    b = b & 1 ? (b >>> 1) ^ POLYNOMIAL : b >>> 1;
  }
  return sum >>> 0;
}

/** x^(8 * 2^k) for k = 0 to 31: what so many bytes of 0 multiply a CRC with. */
const POWERS = (() => {
  let power = 0x00800000;
  return Uint32Array.from({ length: 32 }, () => {
    const current = power;
    power = product(power, power);
    return current;
  });
})();

/** A CRC-32 moved over `length` bytes. */
function moved(crc, length) {
  for (let k = 0; length; length = Math.floor(length / 2), k++) {
    if (length % 2) crc = product(POWERS[k], crc);
  }
  return crc;
}

/** The CRC-32 of two strings of bytes, one after the other, from theirs and the second one's length. */
export const combined = (first, second, length) => (moved(first, length) ^ second) >>> 0;

/** The CRC-32 of ranges of some bytes, each in a time that grows with the logarithm of its length. */
export class CrcRanges {
  constructor(bytes) {
    this.beginnings = new Uint32Array(bytes.length + 1);
    let crc = ~0;
    for (let i = 0; i < bytes.length; i++) {
      crc = TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
      this.beginnings[i + 1] = ~crc;
    }
  }

  of(begin, end) {
    return combined(this.beginnings[begin], this.beginnings[end], end - begin);
  }
}
