// The tables of the models: those of nqe-r's device coder and plain inverse are a part of the package; those of
// the packed coder and of other models, and networks, are files that are fetched once, where they are needed.

import { files, models, tables } from "./assets.js";
import { fromBase64, inflate } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { HeqChecksumError, HeqError, HeqUnsupportedError } from "./errors.js";
import { hex, PACKED } from "./header.js";
import { loadNative } from "./native.js";
import { codesOf, matrixOf } from "./patch_models.js";
import { readTensors } from "./tensors.js";

const RATE_MODEL = "nqe-r";
const DEVICE_TABLES = ["start", "weights", "scores", "places", "stretch", "squash", "widths"];
const PACKED_TABLES = [
  "sources", "magnitude", "energy", "first", "first_bias", "second", "second_bias", "third", "third_bias", "mixing",
  "squash", "size", "edge", "halves", "border", "sign",
];

/** The name of the model that wrote a file, null if the package has it not. */
export function modelName({ encoderId, coderId, coder }) {
  return Object.keys(models).find((name) => models[name].encoderId === encoderId && models[name].coders[coder] === coderId) ?? null;
}

/** Throw unless the package has the model of a file. */
export function checkModel(header) {
  const name = modelName(header);
  if (!name) {
    throw new HeqUnsupportedError(`The file was written by the model ${header.encoderId}, ${header.coderId}; this package has ${Object.keys(models).join(", ")}.`);
  }
  return name;
}

/** The decoders of a model. */
export const decodersOf = (name) => ["plain", ...Object.keys(models[name].radius)];

/** The model of a file, with all that its strips take. */
export async function loadModelOf(header, options) {
  const model = await loadModel(checkModel(header), options);
  return { ...model, packed: header.coder === PACKED ? await loadPacked(options) : 0 };
}

const loaded = new Map();

/** What `make` gives, made once; after an error again, since another address may do. */
function once(key, make) {
  if (!loaded.has(key)) loaded.set(key, make().catch((error) => {
    loaded.delete(key);
    throw error;
  }));
  return loaded.get(key);
}

/** A model's tables in WebAssembly's memory, loaded once. */
export const loadModel = (name = RATE_MODEL, options = {}) => once(name, () => (name === RATE_MODEL ? rateModel() : patchModel(name, options)));

const inWasm = (native, matrices) => native.pointers(matrices.map((matrix) => native.copy(Float32Array.from(matrix.flat()))));

async function rateModel() {
  const native = await loadNative(), found = readTensors(await inflate(fromBase64(tables), "gzip")), { radius } = models[RATE_MODEL];
  return {
    name: RATE_MODEL, native, radius,
    steps: found.steps,
    places: found["strong.places"],
    networks: Object.fromEntries(Object.keys(radius).map((decoder) => [decoder, networkTables(found, decoder)])),
    device: native.pointers(DEVICE_TABLES.map((tensor) => native.copy(found[tensor]))),
    transforms: inWasm(native, transforms(rateMatrices(found.layers))),
  };
}

async function patchModel(name, options) {
  const native = await loadNative(), found = readTensors(await weights(name, options));
  return { name, native, radius: models[name].radius, codes: codesOf(found), transforms: inWasm(native, transforms([matrixOf(found)])) };
}

function networkTables(found, decoder) {
  const of = (tensor) => found[`${decoder}.${tensor}`];
  const trust = Object.fromEntries(["first", "first_bias", "second", "second_bias", "least"].map((tensor) => [tensor, of(tensor)]));
  return { trust, places: of("places"), hints: models[RATE_MODEL].hints[decoder] };
}

/** The transforms of 32 and of 16 points. */
function rateMatrices(layers) {
  const at = (layer, f, x) => layers[(layer * 32 + f) * 32 + x];
  const row = (f, n) => Array.from({ length: n }, (_, x) => (16 * at(0, f, x) + 4 * at(1, f, x) + at(2, f, x)) / 32);
  return [Array.from({ length: 32 }, (_, f) => row(f, 32)), Array.from({ length: 16 }, (_, f) => row(2 * f, 16))];
}

/** forward, forward transposed, inverse, inverse transposed: each of 32 and of 16 points, or twice that of 32. */
function transforms([large, small = large]) {
  const both = [large, small], inverses = both.map(inverse);
  return [...both, ...both.map(transposed), ...inverses, ...inverses.map(transposed)];
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

/** Pointer to the tables of the packed coder, fetched once. */
const loadPacked = (options) => once("packed coder", async () => {
  const native = await loadNative(), found = readTensors(await weights("packed", options));
  return native.pointers(PACKED_TABLES.map((name) => native.copy(found[name])));
});

/**
 * A file of weights, checked against the hash that the package has of it.
 *
 * @param {string} name of one of `files` in assets.js.
 * @param {{weights?: string | URL | Record<string, Uint8Array>}} options a folder's address, or the files themselves.
 */
export const weights = (name, options) => once(`${name} file`, () => fetchWeights(files[name], options.weights));

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
