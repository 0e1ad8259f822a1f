// Mutants of the golden files through the decoder of web/: node mutants.mjs [COUNT] [SEED]
//
// Of seven in eight the checksums of header, strips, slices and chunks are put right, so that the decoders see them. What
// decode throws must be an error of the package; WebAssembly must not trap, and its memory must stay bounded. A mutant that breaks this
// is written to the working folder, and the exit code is 1.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { crc32 } from "../../../web/src/crc32.js";
import { decode, HeqError, info } from "../../../web/src/index.js";
import { loadModel } from "../../../web/src/model.js";

const GOLDEN = new URL("../../conformance/", import.meta.url);
const LARGEST = 1000, MOST_PIXELS = 1 << 18, MOST_MEMORY = 64 << 20;
const [count = 100_000, seed = 23] = process.argv.slice(2).map(Number);

/** Numbers 0 to n - 1, by the generator mulberry32. */
let state = seed;
function draw(n) {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
}

function mutate(source) {
  let bytes = [...source];
  for (let changes = [1, 1, 2, 4, 16][draw(5)]; changes; changes--) {
    const place = 8 + draw(Math.max(bytes.length - 8, 1)), kind = draw(8);
    if (kind === 0) bytes.splice(place, 1 + draw(8));
    else if (kind === 1) bytes.splice(place, 0, ...bytes.slice(place, place + 1 + draw(8)));
    else if (kind === 2) bytes[place] = [0, 1, 127, 128, 255][draw(5)];
    else if (place < bytes.length) bytes[place] ^= 1 << draw(8);
  }
  if (draw(20) === 0) bytes = bytes.slice(0, draw(bytes.length + 1));
  return Uint8Array.from(bytes);
}

/** Put checksums right, and the checks of slices. */
function mend(bytes) {
  if (bytes.length < 44) return;
  const view = new DataView(bytes.buffer), packed = bytes[10] === 3;
  view.setUint32(40, crc32(bytes.subarray(0, 40)), true);
  for (let at = 44; at + 12 <= bytes.length; ) {
    const end = at + 8 + view.getUint32(at + 4, true);
    if (end + 4 > bytes.length) return;
    if (packed && bytes[at + 2] + 256 * bytes[at + 3] < 1024) mendSlices(bytes.subarray(at + 8, end));
    view.setUint32(end, crc32(bytes.subarray(at, end)), true);
    at = end + 4;
  }
}

function mendSlices(payload) {
  for (let slice = 0, at = 0; slice < 6 && at < payload.length; slice++) {
    let length = 0, factor = 1, end = at;
    for (; end < at + 5 && payload[end] >= 128; end++, factor *= 128) length += (payload[end] & 127) * factor;
    length += payload[end] * factor;
    const start = end + 2;
    if (length && start + length <= payload.length) payload[end + 1] = crc32(payload.subarray(start, start + length), crc32(Uint8Array.of(slice))) & 255;
    at = length ? start + length : end + 1;
  }
}

const sources = readdirSync(GOLDEN).filter((name) => /\.heq$/.test(name)).map((name) => new Uint8Array(readFileSync(new URL(name, GOLDEN))));
const small = sources.filter((bytes) => bytes.length <= LARGEST);
const { native } = await loadModel(), memory = () => native.calls.memory.buffer.byteLength;
const found = {}, began = Date.now();
let slowest = 0;
for (let number = 0; number < count; number++) {
  const bytes = mutate(small[draw(small.length)]);
  if (number % 8) mend(bytes);
  const options = { maxPixels: MOST_PIXELS, partial: draw(2) === 1 }, start = Date.now();
  let outcome;
  try {
    if (draw(16) === 0) await info(bytes, options);
    const image = await decode(bytes, options);
    outcome = image.damagedStrips.length + image.coarseStrips.length + image.damagedChunks.length ? "decoded in part" : "decoded";
  } catch (error) {
    outcome = error instanceof HeqError ? error.name : null;
    if (!outcome) console.error(error);
  }
  slowest = Math.max(slowest, Date.now() - start);
  if (!outcome || memory() > MOST_MEMORY) {
    writeFileSync(`mutant-${seed}-${number}.heq`, bytes);
    console.error(`mutant ${number} of seed ${seed}: ${outcome ?? "no error of the package"}, ${memory()} bytes of memory`);
    process.exit(1);
  }
  found[outcome] = (found[outcome] ?? 0) + 1;
}
const facts = { mutants: count, seed, sources: small.length, outcomes: found, megabytes: memory() / 2 ** 20, residentMegabytes: Math.round(process.memoryUsage.rss() / 2 ** 20), slowestMs: slowest, seconds: Math.round((Date.now() - began) / 1000) };
console.log(JSON.stringify(facts, null, 1));
