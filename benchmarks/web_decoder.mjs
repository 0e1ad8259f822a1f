// Decodes files by web/ and times it: used by web_decoder.py. Jobs come on stdin, a JSON object {file, pixels, decoder, levels} a line;
// of each it prints {seconds, levels}: where they are wanted the SHA-256 of the levels, of each patch its size and then its planes,
// int16. RGBA goes to `pixels`.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Container, stripHeight } from "../web/src/container.js";
import { decode } from "../web/src/index.js";
import { decodeStrip } from "../web/src/levels.js";
import { loadModelOf } from "../web/src/model.js";

async function hashed(bytes) {
  const container = new Container(bytes, { maxPixels: null }), { header } = container, hash = createHash("sha256");
  const model = await loadModelOf(header, {});
  for (let index = 0; index < header.rowStrips; index++) {
    const strip = decodeStrip(model, header, stripHeight(header, index), container.strip(index)), { levels, sizes } = strip.copies();
    hash.update(Buffer.from(sizes.buffer)).update(Buffer.from(levels.buffer));
    strip.release();
  }
  return hash.digest("hex");
}

for await (const line of createInterface({ input: process.stdin })) {
  const { file, pixels, decoder, levels } = JSON.parse(line), bytes = new Uint8Array(readFileSync(file)), start = performance.now();
  const { data } = await decode(bytes, { decoder });
  const seconds = (performance.now() - start) / 1000;
  writeFileSync(pixels, data);
  process.stdout.write(`${JSON.stringify({ seconds, levels: levels ? await hashed(bytes) : "" })}\n`);
}
