import { inflate } from "./bytes.js";
import { Container, NOT_SENT, stripHeight } from "./container.js";
import { HeqError, HeqFormatError, HeqUnsupportedError } from "./errors.js";
import { fillRows, plainRows } from "./frame.js";
import { CODERS, DEFAULT_MAX_PIXELS, PACKED } from "./header.js";
import { decodeRest, decodeStrip } from "./levels.js";
import { checkModel, decodersOf, loadModelOf, modelName } from "./model.js";
import { loadNetwork, networkBox } from "./network.js";

/** Bytes of a file that was given in one of several ways. */
export async function bytesOf(source) {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  // Also of Node's Buffer, which is a Uint8Array with other habits.
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (typeof Blob !== "undefined" && source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  throw new HeqError("Give the file as a Uint8Array, an ArrayBuffer or a Blob.");
}

/** What a file says about itself, without a decoder. */
export async function info(source, { maxPixels = DEFAULT_MAX_PIXELS, partial = false } = {}) {
  const bytes = await bytesOf(source), container = new Container(bytes, { maxPixels, partial });
  const { header } = container, steps = [], unsentStrips = [];
  for (let index = 0; index < header.strips; index++) {
    const strip = container.strip(index), sent = strip && strip.sent;
    if (strip && !sent) unsentStrips.push(index);
    steps.push(sent ? strip.rate : null);
  }
  const chunks = container.chunks();
  return {
    width: header.width, height: header.height, channels: header.greyAsRgb ? 3 : header.channels, alpha: chunks.some(([type]) => type === "ALPH"),
    mode: header.mode ? "rate" : "patch", progressive: header.mode === 2, coder: CODERS[header.coder], model: modelName(header),
    steps: header.mode ? steps : null, weighted: header.weighted, bitsPerPatch: header.mode ? null : header.rate,
    strips: header.strips, stripRows: header.stripRows, fileBytes: bytes.length,
    bpp: (8 * bytes.length) / (header.width * header.height), encoderId: header.encoderId, coderId: header.coderId,
    chunks: chunks.map(([type, data]) => ({ type, bytes: data.length })), unsentStrips,
    damagedStrips: [...container.damagedStrips], damagedChunks: container.damagedChunks, repaired: container.repaired,
  };
}

function checkRegion(region, { width, height }) {
  if (region === undefined || region === null) return [0, 0, width, height];
  const [x, y, w, h] = region;
  const inside = region.length === 4 && [...region].every(Number.isInteger) && x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= width && y + h <= height;
  if (!inside) throw new HeqError(`The region ${region} (x, y, width, height) is not inside the image of ${width} x ${height} pixels.`);
  return [x, y, w, h];
}

function checkSlices(slices, header) {
  if (slices === undefined || slices === null) return null;
  if (header.coder !== PACKED && header.parts === 1) throw new HeqError("Only packed and progressive files have slices; leave slices out, or pack the file first.");
  if (!Number.isInteger(slices) || slices < 1) throw new HeqError(`slices is ${slices}; give a whole number from 1.`);
  return slices;
}

/** The decoder of one file's strips: which are whole, which coarse, and which are lost. */
export class StripSource {
  constructor(container, model, slices) {
    Object.assign(this, { container, model, slices, coarse: new Set(), unsent: new Set() });
  }

  /** Levels and step of a strip, or null where it is lost. The caller releases the levels. */
  read(index) {
    const { container, model, slices } = this, { header } = container, rows = stripHeight(header, index);
    const strip = container.strip(index);
    if (!strip) return this.remains(index, rows, container.remains(index));
    if (strip.rate === NOT_SENT) {
      this.unsent.add(index);
      return null;
    }
    const sliced = header.coder === PACKED && slices !== null;
    let levels;
    try {
      levels = decodeStrip(model, header, rows, strip, sliced ? slices : null, sliced);
    } catch (error) {
      if (!(error instanceof HeqFormatError)) throw error;
      if (!container.partial) throw new HeqFormatError(`Strip ${index} cannot be decoded, though its checksum is right: ${error.message}`, { cause: error });
      container.damagedStrips.add(index);
      return this.remains(index, rows, strip);
    }
    if (header.parts > 1 && slices !== 1) levels = this.completed(index, rows, strip, levels);
    return { levels, rate: strip.rate };
  }

  /** The levels of the first part of a progressive strip, and where it is whole of the second. */
  completed(index, rows, first, levels) {
    const { container, model } = this, second = index + container.header.rowStrips;
    try {
      const rest = container.strip(second);
      if (!rest) this.coarse.add(second);
      else if (rest.rate === NOT_SENT) this.unsent.add(second);
      else {
        if (rest.rate !== first.rate) throw new HeqFormatError(`its step is ${rest.rate}, not ${first.rate}.`);
        decodeRest(model, levels, rest);
      }
      return levels;
    } catch (error) {
      levels.release();
      if (!(error instanceof HeqFormatError)) throw error;
      if (!container.partial) throw new HeqFormatError(`Strip ${second} cannot be decoded, though its checksum is right: ${error.message}`, { cause: error });
      container.damagedStrips.add(second);
      this.coarse.add(second);
      return decodeStrip(model, container.header, rows, first);
    }
  }

  /** Of a damaged packed strip the slices before the damage; an empty first slice has no check that speaks for it. */
  remains(index, rows, strip) {
    const { model, container: { header } } = this;
    if (header.coder !== PACKED || !strip || !strip.payload[0]) return null;
    try {
      const levels = decodeStrip(model, header, rows, strip, this.slices, true);
      this.coarse.add(index);
      return { levels, rate: strip.rate };
    } catch (error) {
      if (error instanceof HeqFormatError) return null;
      throw error;
    }
  }
}

/** Give way to what else the thread has to do, if it was kept long. */
export function breather(most = 40) {
  let last = Date.now();
  return async () => {
    if (Date.now() - last < most) return;
    await new Promise((resolve) => setTimeout(resolve));
    last = Date.now();
  };
}

/** Put a row of patches into RGBA: the part of it that lies in the box (x, y, width, height). */
export function paint(data, [x, y, width, height], samples, planes, wide, top, left) {
  const from = Math.max(y, top), to = Math.min(y + height, top + 32), plane = 32 * wide;
  const begin = Math.max(x, left), end = Math.min(x + width, left + wide);
  for (let row = from; row < to; row++) {
    let at = 4 * ((row - y) * width + begin - x), i = (row - top) * wide + begin - left;
    for (let column = begin; column < end; column++, i++, at += 4) {
      data[at] = samples[i];
      data[at + 1] = planes === 1 ? data[at] : samples[plane + i];
      data[at + 2] = planes === 1 ? data[at] : samples[2 * plane + i];
      data[at + 3] = 255;
    }
  }
}

/** Indices of the strips that hold a box, in both parts of a progressive file. */
function neededStrips(header, [, y, , height], slices) {
  const first = Math.floor(y / 32 / header.stripRows), last = Math.floor((y + height - 1) / 32 / header.stripRows), needed = [];
  for (let part = 0; part < (slices === 1 ? 1 : header.parts); part++) {
    for (let index = first; index <= last; index++) needed.push(part * header.rowStrips + index);
  }
  return needed;
}

/** RGBA of a box by the plain inverse, and which of its rows are lost. */
async function plainBox(source, model, header, box, progress) {
  const [x, y, width, height] = box, data = new Uint8ClampedArray(4 * width * height).fill(128), lost = new Uint8Array(height);
  for (let i = 3; i < data.length; i += 4) data[i] = 255;
  const left = x >> 5, right = Math.ceil((x + width) / 32), firstRow = y >> 5, lastRow = Math.ceil((y + height) / 32);
  const rows = plainRows(model, right - left, header.channels, header.weighted), rest = breather();
  try {
    const first = Math.floor(firstRow / header.stripRows), last = Math.floor((lastRow - 1) / header.stripRows);
    for (let index = first; index <= last; index++) {
      const strip = source.read(index), top = index * header.stripRows;
      try {
        for (let row = Math.max(top, firstRow); row < Math.min(top + header.stripRows, lastRow); row++) {
          if (strip) {
            const samples = rows.row(strip.levels, row - top, strip.rate, left, right);
            paint(data, box, samples, header.channels, 32 * (right - left), 32 * row, 32 * left);
          } else lost.fill(1, Math.max(32 * row - y, 0), 32 * row + 32 - y);
          await rest();
        }
      } finally {
        strip?.levels.release();
      }
      progress?.(index - first + 1, last - first + 1);
    }
  } finally {
    rows.release();
  }
  return { data, lost };
}

/**
 * Decode a file to RGBA; see index.d.ts.
 */
export async function decode(source, options = {}) {
  const { decoder = "plain", region, slices, partial = false, maxPixels = DEFAULT_MAX_PIXELS, onProgress } = options;
  const bytes = await bytesOf(source), container = new Container(bytes, { maxPixels, partial });
  const { header } = container, box = checkRegion(region, header), wanted = checkSlices(slices, header);
  const alpha = await alphaPlane(container, neededStrips(header, box, wanted));
  const decoders = decodersOf(checkModel(header));
  if (!decoders.includes(decoder)) throw new HeqUnsupportedError(`The model ${modelName(header)} has no decoder ${decoder}; it has ${decoders.join(", ")}.`);
  const model = await loadModelOf(header, options);
  const strips = new StripSource(container, model, wanted);
  const network = decoder === "plain" ? null : await loadNetwork(decoder, model, options);
  const run = (part, progress) => (network ? networkBox(strips, model, header, part, network, progress) : plainBox(strips, model, header, part, progress));
  let { data, lost } = await run(box, onProgress);
  const [x, y, width, height] = box;
  if (lost.some(Boolean)) {
    if (height < header.height || width < header.width) {
      // The fill reaches to the next intact rows, wherever they are.
      const whole = await run([x, 0, width, header.height]);
      fillRows(whole.data, width, whole.lost);
      data = whole.data.slice(4 * width * y, 4 * width * (y + height));
    } else fillRows(data, width, lost);
  }
  if (alpha) for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) data[4 * (row * width + column) + 3] = alpha[(y + row) * header.width + x + column];
  }
  const chunks = container.read;
  return {
    width, height, data, channels: alpha ? 4 : header.greyAsRgb ? 3 : header.channels, icc: chunks.get("ICCP") ?? null,
    damagedStrips: [...container.damagedStrips].filter((index) => !strips.coarse.has(index)).sort((a, b) => a - b),
    coarseStrips: [...strips.coarse].sort((a, b) => a - b), unsentStrips: [...strips.unsent].sort((a, b) => a - b),
    damagedChunks: container.damagedChunks, repaired: container.repaired,
  };
}

/** The alpha plane of a file, or null; chunks are read and verified here. */
async function alphaPlane(container, needed) {
  const { header } = container;
  for (const index of needed) container.strip(index);
  container.read = new Map(container.chunks().reverse()); // of several the first
  const packed = container.read.get("ALPH");
  if (!packed) return null;
  const expected = header.width * header.height;
  try {
    const plane = await inflate(packed, "deflate", expected);
    if (plane.length !== expected) throw new HeqFormatError(`The alpha plane holds ${plane.length} of ${expected} bytes.`);
    return plane;
  } catch (error) {
    if (!container.partial || !(error instanceof HeqFormatError)) throw error;
    container.damagedChunks.push("ALPH");
    return null;
  }
}

