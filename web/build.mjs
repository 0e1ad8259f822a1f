// Builds the package: node build.mjs [--assets]
//
// From ../codec/native and ../weights: src/assets.js, the C code as WebAssembly and the tables of the model, and src/weights/, what
// is fetched. Without --assets also dist/: the bundles, the viewer and the weights. It takes clang with the target wasm32, lld and
// wasi-libc (Debian: clang lld wasi-libc), and a Python that has heqcodec, python3 or $PYTHON.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { crc32 } from "./src/crc32.js";

const WEB = fileURLToPath(new URL(".", import.meta.url));
const ROOT = join(WEB, "..");
const WEIGHTS = join(ROOT, "weights");
const FETCHED = join(WEB, "src", "weights");

/** The C code as WebAssembly, without imports. */
function webAssembly() {
  const folder = mkdtempSync(join(tmpdir(), "heqcodec-"));
  const out = join(folder, "heq.wasm"), native = join(ROOT, "codec", "native");
  const flags = ["--target=wasm32-wasi", "-O2", "-msimd128", "-std=c99", "-Wall", "-Wextra", "-Werror", "-DHEQ_KERNEL_FAST"];
  const link = ["-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all", "-Wl,--max-memory=2147483648"];
  const sources = [join(WEB, "src", "native.c"), join(native, "heq_device.c"), join(native, "heq_packed.c")];
  try {
    execFileSync(process.env.CLANG ?? "clang", [...flags, `-I${native}`, ...link, ...sources, "-lc", "-o", out], { stdio: "inherit" });
    return readFileSync(out);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readSafetensors(file) {
  const bytes = readFileSync(join(WEIGHTS, file)), length = Number(bytes.readBigUInt64LE(0));
  return { head: JSON.parse(bytes.toString("utf8", 8, 8 + length)), data: bytes.subarray(8 + length) };
}

/** A safetensors file of some tensors of others: [file, names, what is put before them]. */
function gathered(parts) {
  const head = {}, data = [];
  let at = 0;
  for (const [file, names, prefix = ""] of parts) {
    const from = readSafetensors(file);
    for (const name of names) {
      if (name === LEAST && !from.head[name]) continue;
      const { dtype, shape, data_offsets: [begin, end] } = from.head[name];
      head[prefix + name.replace(/^(dequantizer|trust)\./, "")] = { dtype, shape, data_offsets: [at, at + end - begin] };
      data.push(from.data.subarray(begin, end));
      at += end - begin;
    }
  }
  const text = Buffer.from(JSON.stringify(head)), length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...data]);
}

function described(folder, file) {
  const bytes = readFileSync(join(folder, file));
  return { file, sha256: createHash("sha256").update(bytes).digest("hex"), crc: crc32(bytes) };
}

/** A tensor that may be missing. */
const LEAST = "trust.least";
const OF_NETWORK = ["dequantizer.places", "trust.first", "trust.first_bias", "trust.second", "trust.second_bias", LEAST];
/** Coders by number, as in src/header.js. */
const NO_CODER = 0, PATCH_CODER = 1, DEVICE = 2, PACKED = 3;

/** How far a network reaches, in pixels: as in codec/purenet/config.py. */
const radiusOf = ({ blocks, mid_blocks: mid, fine_blocks: fine }) => 16 * blocks + (mid ? 4 * (1 + 2 * mid) : 0) + 2 * (2 + 2 * fine);

/** How many hints a network of nqe-r takes beside the plain inverse's 192 samples of a cell. */
const hintsOf = ({ inputs }) => inputs - 192;

/** The decoders with networks of an entry of the manifest. */
const decodersOf = ({ decoder, decoders = {} }) => ({ strong: decoder, ...decoders });

/** Tensors of nqe-r that are a part of the package. */
const rateTables = ({ encoder, coders, ...networks }) => gathered([
  [coders.device.file, ["start", "weights", "scores", "places", "stretch", "squash", "widths"]],
  [encoder.file, ["layers", "steps"]],
  ...Object.entries(decodersOf(networks)).map(([kind, { file }]) => [file, OF_NETWORK, `${kind}.`]),
]);

/** Those that read the codes of a model of a constant rate. */
function codeTables({ encoder, decoder }) {
  const transform = ["coarse", "fine"];
  if (readSafetensors(encoder.file).head.lps) return gathered([[encoder.file, [...transform, "significance", "flag", "refinement", "lps", "order"]]]);
  return gathered([[encoder.file, [...transform, "scales", "gains"]], [decoder.file, ["points"]]]);
}

function assets() {
  const manifest = JSON.parse(readFileSync(join(WEIGHTS, "manifest.json"), "utf8")), models = {}, files = {};
  let tables;
  // Files that others may read meanwhile are replaced whole.
  const made = join(FETCHED, `.${process.pid}`);
  mkdirSync(made, { recursive: true });
  execFileSync(process.env.PYTHON ?? "python3", [join(WEB, "graphs.py"), made], { stdio: "inherit" });
  for (const [name, entry] of Object.entries(manifest.models)) {
    const { encoder, coders } = entry, none = /^0+$/.test(encoder.coder_id);
    const ids = coders ? { [DEVICE]: coders.device.coder_id, [PACKED]: coders.packed.coder_id } : { [none ? NO_CODER : PATCH_CODER]: encoder.coder_id };
    const radius = Object.fromEntries(Object.entries(decodersOf(entry)).map(([kind, { config }]) => [kind, radiusOf(config)]));
    models[name] = { encoderId: encoder.encoder_id, coders: ids, radius };
    if (coders) {
      models[name].hints = Object.fromEntries(Object.entries(decodersOf(entry)).map(([kind, { config }]) => [kind, hintsOf(config)]));
      tables = rateTables(entry);
      copyFileSync(join(WEIGHTS, coders.packed.file), join(made, coders.packed.file));
      files.packed = described(made, coders.packed.file);
    } else {
      const file = `${name}.codes.safetensors`;
      writeFileSync(join(made, file), codeTables(entry));
      files[name] = described(made, file);
    }
    for (const kind of Object.keys(radius)) files[`${name} ${kind}`] = described(made, `${name}.${kind}.onnx`);
  }
  for (const name of readdirSync(made)) renameSync(join(made, name), join(FETCHED, name));
  rmSync(made, { recursive: true });
  const base64 = (bytes) => JSON.stringify(gzipSync(bytes, { level: 9 }).toString("base64"));
  const text = `// Made by build.mjs.\nexport const decoder = ${base64(webAssembly())};\nexport const tables = ${base64(tables)};\n` +
    `export const models = ${JSON.stringify(models)};\nexport const files = ${JSON.stringify(files)};\n`;
  const path = join(WEB, "src", "assets.js");
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
}

assets();
if (!process.argv.includes("--assets")) {
  const { build } = await import("esbuild");
  const dist = join(WEB, "dist");
  rmSync(dist, { recursive: true, force: true });
  // Folders with a dot are of builds that are under way.
  cpSync(FETCHED, join(dist, "weights"), { recursive: true, filter: (path) => !basename(path).startsWith(".") });
  const common = { bundle: true, format: "esm", minify: true, target: "es2022", external: ["node:fs/promises", "onnxruntime-web"] };
  const entries = { heqcodec: join(WEB, "src", "index.js"), element: join(WEB, "src", "element.js") };
  await build({ ...common, entryPoints: entries, splitting: true, outdir: dist, chunkNames: "decoder-[hash]" });
  for (const [from, to] of [["index", "heqcodec"], ["element", "element"]]) copyFileSync(join(WEB, "src", `${from}.d.ts`), join(dist, `${to}.d.ts`));
  await viewer(build, common, dist);
}

/** The viewer as one page, which also the command `heqcodec view` takes: cli/viewer.html. */
async function viewer(build, common, dist) {
  const folder = join(WEB, "viewer"), read = (name) => readFileSync(join(folder, name), "utf8");
  const { outputFiles } = await build({ ...common, entryPoints: [join(folder, "viewer.js")], write: false });
  const script = outputFiles[0].text.replaceAll("</script", "<\\/script");
  const tables = readdirSync(FETCHED).filter((name) => name.endsWith(".codes.safetensors"));
  const held = tables.map((name) => [name, gzipSync(readFileSync(join(FETCHED, name)), { level: 9 }).toString("base64")]);
  const page = read("viewer.html").replace("/*STYLE*/", () => read("viewer.css")).replace("/*SCRIPT*/", () => script)
    .replace('"weights":{}', () => `"weights":${JSON.stringify(Object.fromEntries(held))}`);
  writeFileSync(join(dist, "viewer.html"), page);
  writeFileSync(join(ROOT, "cli", "viewer.html"), page);
}
