import { HeqFormatError } from "./errors.js";

export function fromBase64(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/**
 * Decompress a stream of zlib ("deflate") or gzip.
 *
 * @param {number} most bytes that are taken; a stream with more is an error, found before they are held.
 */
export async function inflate(bytes, format, most = Infinity) {
  const parts = [];
  let total = 0;
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format)).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      total += value.length;
      if (total > most) throw new HeqFormatError(`A compressed stream has more than the ${most} bytes that were expected.`);
      parts.push(value);
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof HeqFormatError) throw error;
    throw new HeqFormatError("A compressed stream is damaged.", { cause: error });
  }
  const whole = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
