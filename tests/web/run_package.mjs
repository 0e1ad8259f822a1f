// Runs the package in web/src on jobs from stdin, a JSON list of {file, options, pixels, levels}: the last two are files to
// write RGBA and levels to. With `stream`, a number of bytes, the file comes in such pieces. Prints a JSON list of what decode gave without its pixels, or of the error.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [source] = process.argv.slice(2);
const load = (name) => import(new URL(name, pathToFileURL(`${source}/`)));
const { decode, decodeStream, info, HeqError } = await load("index.js");
const { Container, stripHeight } = await load("container.js");
const { decodeRest, decodeStrip } = await load("levels.js");
const { loadModelOf } = await load("model.js");

/** Of each patch its size, then the levels of its planes; of codes of patches what they say of the coefficients. */
async function levelsOf(bytes) {
  const container = new Container(bytes, { maxPixels: null }), { header } = container, all = [];
  const model = await loadModelOf(header, {});
  for (let index = 0; index < header.rowStrips; index++) {
    const rows = stripHeight(header, index), strip = decodeStrip(model, header, rows, container.strip(index));
    if (header.mode === 0) {
      for (let patch = 0; patch < rows * header.columns; patch++) all.push(...coefficientsOf(model.codes, strip.code(0, patch), header.channels));
      continue;
    }
    if (header.parts > 1) decodeRest(model, strip, container.strip(index + header.rowStrips));
    const { levels, sizes } = strip.copies(), each = levels.length / sizes.length;
    sizes.forEach((size, patch) => all.push(size, ...levels.subarray(patch * each, (patch + 1) * each)));
    strip.release();
  }
  return header.mode === 0 ? Float32Array.from(all) : Int16Array.from(all);
}

/** nqe-t: low ends, widths, signs, and how far zones were coded; nqe-vgg: class and values. All are exact as float32. */
function coefficientsOf(codes, code, planes) {
  const { reader } = codes, values = new Float32Array(3072);
  if (!reader.cells) {
    reader.read(code, planes, values);
    return [reader.label, ...reader.places.map((place) => values[place])];
  }
  reader.read(code, planes);
  return [...["low", "width", "negative"].flatMap((name) => Array.from(reader.cells, (cell) => reader[name][cell])), ...reader.reached];
}

const results = [];
/** What a stream of pieces gives, and RGBA as its strips painted it, in `painted`. */
async function streamed(bytes, size, options) {
  const strips = [];
  let given = 0, painted;
  const stream = new ReadableStream({
    pull(controller) {
      if (given >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(given, (given += size)));
    },
  }, { highWaterMark: 0 });
  const image = await decodeStream(stream, {
    ...options,
    onHeader: (width, height) => (painted = new Uint8ClampedArray(4 * width * height)),
    onStrip: ({ y, width, height, data, whole }) => {
      painted.set(data, 4 * width * y);
      strips.push({ y, height, whole, given });
    },
  });
  return { ...image, painted, strips };
}

for (const { file, options = {}, pixels, levels, about, stream } of JSON.parse(readFileSync(0, "utf8"))) {
  const bytes = new Uint8Array(readFileSync(file));
  try {
    if (about) {
      results.push(await info(bytes, options));
      continue;
    }
    const progress = [];
    const run = stream ? (given, more) => streamed(given, stream, more) : decode;
    const { data, icc, painted, ...rest } = await run(bytes, {
      ...options, onProgress: (done, total) => progress.push([done, total]),
    });
    if (pixels) writeFileSync(pixels, data);
    if (painted) writeFileSync(`${pixels}.painted`, painted);
    if (levels) writeFileSync(levels, await levelsOf(bytes));
    results.push({ ...rest, icc: icc && icc.length, progress });
  } catch (error) {
    results.push({ error: error.name, typed: error instanceof HeqError, message: error.message });
  }
}
process.stdout.write(JSON.stringify(results));
