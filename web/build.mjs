// Builds the package: node build.mjs [--assets]
//
// From ../codec/native and ../weights: src/assets.js, the C code as WebAssembly and the tables of the model, and src/weights/, what
// is fetched. Without --assets also dist/: the bundles, the viewer and the weights. It takes clang with the target wasm32, lld and
// wasi-libc (Debian: clang lld wasi-libc), and a Python that has heqcodec, python3 or $PYTHON.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { crc32 } from "./src/crc32.js";

const WEB = fileURLToPath(new URL(".", import.meta.url));
const ROOT = join(WEB, "..");
const WEIGHTS = join(ROOT, "weights");
const FETCHED = join(WEB, "src", "weights");
const DECODERS = ["strong", "fast"];

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

function described(file) {
  const bytes = readFileSync(join(FETCHED, file));
  return { file, sha256: createHash("sha256").update(bytes).digest("hex"), crc: crc32(bytes) };
}

const OF_DECODER = ["dequantizer.places", "trust.first", "trust.first_bias", "trust.second", "trust.second_bias"];
const entryOf = (model, decoder) => (decoder === "strong" ? model.decoder : model.decoders[decoder]);

/** How far a network reaches, in pixels: as in codec/purenet/config.py. */
const radiusOf = ({ blocks, mid_blocks: mid, fine_blocks: fine }) => 16 * blocks + (mid ? 4 * (1 + 2 * mid) : 0) + 2 * (2 + 2 * fine);

function assets() {
  const name = "nqe-r", model = JSON.parse(readFileSync(join(WEIGHTS, "manifest.json"), "utf8")).models[name];
  const tables = gathered([
    [model.coders.device.file, ["start", "weights", "stretch", "squash", "widths"]],
    [model.encoder.file, ["layers", "steps"]],
    ...DECODERS.map((decoder) => [entryOf(model, decoder).file, OF_DECODER, `${decoder}.`]),
  ]);
  mkdirSync(FETCHED, { recursive: true });
  copyFileSync(join(WEIGHTS, model.coders.packed.file), join(FETCHED, model.coders.packed.file));
  execFileSync(process.env.PYTHON ?? "python3", [join(WEB, "graphs.py"), FETCHED], { stdio: "inherit" });
  const description = {
    name, encoderId: model.encoder.encoder_id, deviceId: model.coders.device.coder_id, packedId: model.coders.packed.coder_id,
    radius: Object.fromEntries(DECODERS.map((decoder) => [decoder, radiusOf(entryOf(model, decoder).config)])),
    files: {
      packed: described(model.coders.packed.file),
      ...Object.fromEntries(DECODERS.map((decoder) => [decoder, described(`${name}.${decoder}.onnx`)])),
    },
  };
  const base64 = (bytes) => JSON.stringify(gzipSync(bytes, { level: 9 }).toString("base64"));
  const text = `// Made by build.mjs.\nexport const decoder = ${base64(webAssembly())};\nexport const tables = ${base64(tables)};\n` +
    `export const model = ${JSON.stringify(description)};\n`;
  const path = join(WEB, "src", "assets.js");
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
  return description;
}

assets();
if (!process.argv.includes("--assets")) {
  const { build } = await import("esbuild");
  const dist = join(WEB, "dist");
  rmSync(dist, { recursive: true, force: true });
  cpSync(FETCHED, join(dist, "weights"), { recursive: true });
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
  const page = read("viewer.html").replace("/*STYLE*/", () => read("viewer.css")).replace("/*SCRIPT*/", () => script);
  writeFileSync(join(dist, "viewer.html"), page);
  writeFileSync(join(ROOT, "cli", "viewer.html"), page);
}
