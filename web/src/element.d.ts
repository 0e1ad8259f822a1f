/**
 * `<heq-image src alt loading decoder weights>`; importing the module defines it. Events `load` and `error`, as of `<img>`.
 */
export class HeqImage extends HTMLElement {
  src: string;
  alt: string;
  loading: "lazy" | "eager";
  readonly complete: boolean;
  readonly naturalWidth: number;
  readonly naturalHeight: number;
}

declare global {
  interface HTMLElementTagNameMap {
    "heq-image": HeqImage;
  }
}
