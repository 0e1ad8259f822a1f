// The tables of nqe-r: those of the device coder and the plain inverse are a part of the package; those of the packed
// coder, and networks, are files that are fetched once, where they are needed.

import { model, tables } from "./assets.js";
import { fromBase64, inflate } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { HeqChecksumError, HeqError } from "./errors.js";
import { hex } from "./header.js";
import { loadNative } from "./native.js";
import { readTensors } from "./tensors.js";

const DEVICE_TABLES = ["start", "weights", "stretch", "squash", "widths"];
const PACKED_TABLES = [
  "sources", "magnitude", "energy", "first", "first_bias", "second", "second_bias", "third", "third_bias", "mixing",
  "squash", "dc", "size", "edge", "halves", "border", "sign",
];

export { model };

let loading = null;

/** The model's tables in WebAssembly's memory, loaded once. */
export function loadModel() {
  return (loading ??= prepare());
}

async function prepare() {
  const native = await loadNative();
  const found = readTensors(await inflate(fromBase64(tables), "gzip"));
  const pointers = DEVICE_TABLES.map((name) => native.copy(found[name]));
  const matrices = transforms(found.layers);
  return {
    native,
    steps: found.steps,
    places: found["strong.places"],
    networks: Object.fromEntries(Object.entries(model.radius).map(([name, radius]) => [name, networkTables(found, name, radius)])),
    device: native.pointers(pointers),
    transforms: native.pointers(matrices.map((matrix) => native.copy(Float32Array.from(matrix.flat())))),
  };
}

function networkTables(found, name, radius) {
  const of = (tensor) => found[`${name}.${tensor}`];
  const trust = Object.fromEntries(["first", "first_bias", "second", "second_bias"].map((tensor) => [tensor, of(tensor)]));
  return { radius, trust, places: of("places") };
}

/** forward, forward transposed, inverse, inverse transposed: each of 32 and of 16 points. */
function transforms(layers) {
  const at = (layer, f, x) => layers[(layer * 32 + f) * 32 + x];
  const row = (f, n) => Array.from({ length: n }, (_, x) => (16 * at(0, f, x) + 4 * at(1, f, x) + at(2, f, x)) / 32);
  const large = Array.from({ length: 32 }, (_, f) => row(f, 32)), small = Array.from({ length: 16 }, (_, f) => row(2 * f, 16));
  const inverses = [large, small].map(inverse);
  return [large, small, transposed(large), transposed(small), ...inverses, ...inverses.map(transposed)];
}

const transposed = (a) => a[0].map((_, j) => a.map((row) => row[j]));

/** The inverse of a matrix, by Gauss and Jordan with pivots. */
function inverse(matrix) {
  const n = matrix.length, work = matrix.map((row, i) => [...row, ...row.map((_, j) => +(i === j))]);
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let r = i + 1; r < n; r++) if (Math.abs(work[r][i]) > Math.abs(work[pivot][i])) pivot = r;
    [work[i], work[pivot]] = [work[pivot], work[i]];
    const head = work[i][i];
    work[i] = work[i].map((x) => x / head);
    for (let r = 0; r < n; r++) {
      const factor = r === i ? 0 : work[r][i];
      if (factor) work[r] = work[r].map((x, k) => x - factor * work[i][k]);
    }
  }
  return work.map((row) => row.slice(n));
}

let packed = null;

/** Pointer to the tables of the packed coder, fetched once. */
export function loadPacked(options) {
  packed ??= (async () => {
    const { native } = await loadModel();
    const found = readTensors(await weights("packed", options));
    return native.pointers(PACKED_TABLES.map((name) => native.copy(found[name])));
  })().catch((error) => {
    packed = null; // another address may do
    throw error;
  });
  return packed;
}

const kept = new Map();

/**
 * A file of weights, checked against the hash that the package has of it.
 *
 * @param {string} name of one of `model.files`.
 * @param {{weights?: string | URL | Record<string, Uint8Array>}} options a folder's address, or the files themselves.
 */
export async function weights(name, { weights: source } = {}) {
  if (!kept.has(name)) kept.set(name, fetchWeights(model.files[name], source).catch((error) => {
    kept.delete(name);
    throw error;
  }));
  return kept.get(name);
}

async function fetchWeights({ file, sha256, crc }, source) {
  const given = source && source[file] instanceof Uint8Array ? source[file] : null;
  const bytes = given ?? (await read(file, new URL(file, folder(source))));
  // Pages of plain http have no SubtleCrypto.
  const right = globalThis.crypto?.subtle
    ? hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))) === sha256
    : crc32(bytes) === crc;
  if (!right) throw new HeqChecksumError(`The weights ${file} are not those of this package; install both from one version.`);
  return bytes;
}

function folder(source) {
  const base = source instanceof URL || typeof source === "string" ? String(source) : String(new URL("./weights/", import.meta.url));
  return new URL(base.endsWith("/") ? base : `${base}/`, globalThis.location?.href);
}

async function read(file, url) {
  try {
    if (url.protocol === "file:" && globalThis.process?.versions?.node) {
      const { readFile } = await import(/* @vite-ignore */ "node:fs/promises");
      return new Uint8Array(await readFile(url));
    }
    const answer = await fetch(url, { cache: "force-cache" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  } catch (error) {
    throw new HeqError(`The weights ${file} could not be read from ${url}; give their folder or bytes as weights.`, { cause: error });
  }
}
