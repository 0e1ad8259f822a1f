/** Base of all errors of a bad file or a bad request; the message says what was found and what to do. */
export class HeqError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The bytes are no .heq file, or break a rule of the format. */
export class HeqFormatError extends HeqError {}

/** The file ends before the data that its header promises. */
export class HeqTruncatedError extends HeqError {}

/** A CRC-32 does not match: the header, a strip or a chunk was damaged. */
export class HeqChecksumError extends HeqError {}

/** The file is well formed but needs a version, mode, coder or model that is not here. */
export class HeqUnsupportedError extends HeqError {}

/** The image is larger than `maxPixels` allows, or than memory. */
export class HeqLimitError extends HeqError {}
