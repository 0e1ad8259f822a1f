// Decodes files by web/ and times it: used by web_decoder.py. Jobs come on stdin, a JSON list of {file, pixels}; prints a JSON list
// of {seconds, levels}: the SHA-256 of the levels, of each patch its size and then its planes, int16. RGBA goes to `pixels`.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { Container, stripHeight } from "../web/src/container.js";
import { decode } from "../web/src/index.js";
import { decodeStrip } from "../web/src/levels.js";
import { loadModel, loadPacked } from "../web/src/model.js";

const decoder = process.argv[2];
const model = { ...(await loadModel()), packed: await loadPacked({}) };

function hashed(bytes) {
  const container = new Container(bytes, { maxPixels: null }), { header } = container, hash = createHash("sha256");
  for (let index = 0; index < header.rowStrips; index++) {
    const strip = decodeStrip(model, header, stripHeight(header, index), container.strip(index)), { levels, sizes } = strip.copies();
    hash.update(Buffer.from(sizes.buffer)).update(Buffer.from(levels.buffer));
    strip.release();
  }
  return hash.digest("hex");
}

const jobs = JSON.parse(readFileSync(0, "utf8")), results = [];
await decode(readFileSync(jobs[0].file), { decoder }); // code is compiled, weights are loaded
for (const { file, pixels } of jobs) {
  const bytes = new Uint8Array(readFileSync(file)), start = performance.now();
  const { data } = await decode(bytes, { decoder });
  const seconds = (performance.now() - start) / 1000;
  writeFileSync(pixels, data);
  results.push({ seconds, levels: hashed(bytes) });
}
process.stdout.write(JSON.stringify(results), () => process.exit(0));
