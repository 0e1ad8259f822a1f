// What the two decoders that were written from the pages alone read alike: checksums, and the chunks behind the strips.

export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

export function fail(text) { throw new Error(text); }

/** Contents of the chunks of a file, by name, from a place in it on. */
export function readChunks(file, at) {
  const chunks = {};
  for (let name = ""; name !== "END_"; ) {
    name = file.toString("latin1", at, at + 4);
    const end = at + 8 + file.readUInt32LE(at + 4);
    if (file.readUInt32LE(end) !== crc32(file.subarray(at, end))) fail(`${name} damaged`);
    chunks[name] = file.subarray(at + 8, end);
    at = end + 4;
  }
  return chunks;
}
