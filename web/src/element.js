// <heq-image src="photo.heq" alt="...">: an image element for .heq files; importing this module defines it.

import { imageData } from "./canvas.js";
import { decodeStream } from "./stream.js";

const STYLE = `:host { display: inline-block; max-width: 100%; } :host([hidden]) { display: none; }
canvas { display: block; max-width: 100%; width: 100%; height: auto; } .alt { font: inherit; padding: 0.5em; }`;

export class HeqImage extends HTMLElement {
  static observedAttributes = ["src", "alt", "decoder", "weights"];

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).innerHTML = `<style>${STYLE}</style>`;
    this.complete = false;
    this.naturalWidth = this.naturalHeight = 0;
    this.controller = this.observer = this.canvas = null;
    this.scheduled = false;
  }

  get src() { return this.getAttribute("src") ?? ""; }
  set src(value) { this.setAttribute("src", value); }
  get alt() { return this.getAttribute("alt") ?? ""; }
  set alt(value) { this.setAttribute("alt", value); }
  get loading() { return this.getAttribute("loading") === "lazy" ? "lazy" : "eager"; }
  set loading(value) { this.setAttribute("loading", value); }

  connectedCallback() {
    if (!this.hasAttribute("role")) this.setAttribute("role", "img");
    this.describe();
    this.scheduleOnce();
  }

  disconnectedCallback() {
    this.observer?.disconnect();
    this.controller?.abort();
  }

  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected) return;
    if (name === "alt") this.describe();
    else this.scheduleOnce();
  }

  /** Attributes that change together, as when a parsed element becomes this one, load once. */
  scheduleOnce() {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      if (this.isConnected) this.schedule();
    });
  }

  describe() {
    if (this.alt) this.setAttribute("aria-label", this.alt);
    else this.removeAttribute("aria-label");
  }

  /** Load now, or once the element comes near the window. */
  schedule() {
    this.observer?.disconnect();
    if (this.loading === "eager") return void this.load();
    this.observer = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      this.observer.disconnect();
      this.load();
    }, { rootMargin: "50%" });
    this.observer.observe(this);
  }

  async load() {
    this.controller?.abort();
    const controller = (this.controller = new AbortController());
    this.complete = false;
    if (!this.src) return;
    const options = {
      onHeader: (width, height) => controller.signal.aborted || this.begin(width, height),
      onStrip: ({ data, width, height, y }) => controller.signal.aborted || this.context.putImageData(new ImageData(data, width, height), 0, y),
    };
    for (const name of ["decoder", "weights"]) if (this.hasAttribute(name)) options[name] = this.getAttribute(name);
    try {
      const answer = await fetch(new URL(this.src, this.baseURI), { signal: controller.signal });
      if (!answer.ok) throw new Error(`${this.src}: status ${answer.status}`);
      const image = await decodeStream(answer.body, options);
      if (controller.signal.aborted) return;
      this.context.putImageData(imageData(image), 0, 0);
      this.complete = true;
      this.dispatchEvent(new Event("load"));
    } catch (error) {
      if (controller.signal.aborted) return;
      this.fail(error);
    }
  }

  begin(width, height) {
    this.canvas = Object.assign(document.createElement("canvas"), { width, height });
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    this.context = this.canvas.getContext("2d");
    [this.naturalWidth, this.naturalHeight] = [width, height];
    this.show(this.canvas);
    // The width of an image without one of its own; rules of the page come before it.
    this.shadowRoot.querySelector("style").textContent = `${STYLE} :host { width: ${width}px; }`;
  }

  fail(error) {
    const text = Object.assign(document.createElement("span"), { className: "alt", textContent: this.alt });
    this.show(text);
    this.dispatchEvent(new ErrorEvent("error", { error, message: error.message }));
  }

  show(node) {
    const { shadowRoot } = this;
    shadowRoot.querySelector("canvas, .alt")?.remove();
    shadowRoot.append(node);
  }
}

customElements.define("heq-image", HeqImage);
