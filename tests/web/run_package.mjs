// Runs the package in web/src on jobs from stdin, a JSON list of {file, options, pixels, levels}: the last two are files to
// write RGBA and levels to. With `stream`, a number of bytes, the file comes in such pieces. Prints a JSON list of what decode gave without its pixels, or of the error.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [source] = process.argv.slice(2);
const load = (name) => import(new URL(name, pathToFileURL(`${source}/`)));
const { decode, decodeStream, info, HeqError } = await load("index.js");
const { Container, stripHeight } = await load("container.js");
const { decodeRest, decodeStrip } = await load("levels.js");
const { loadModel, loadPacked } = await load("model.js");

/** Of each patch its size, then the levels of its planes. */
async function levelsOf(bytes) {
  const container = new Container(bytes, { maxPixels: null }), { header } = container, all = [];
  const model = { ...(await loadModel()), packed: header.coder === 3 ? await loadPacked({}) : 0 };
  for (let index = 0; index < header.rowStrips; index++) {
    const strip = decodeStrip(model, header, stripHeight(header, index), container.strip(index));
    if (header.parts > 1) decodeRest(model, strip, container.strip(index + header.rowStrips));
    const { levels, sizes } = strip.copies(), each = levels.length / sizes.length;
    sizes.forEach((size, patch) => all.push(size, ...levels.subarray(patch * each, (patch + 1) * each)));
    strip.release();
  }
  return Int16Array.from(all);
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
