/** Whether an ICC profile is Display P3, by the name in it: the one space besides sRGB that a canvas knows. */
function isDisplayP3(icc) {
  if (!icc) return false;
  const text = String.fromCharCode(...icc.subarray(0, 4096)).replace(/\0/g, "");
  return text.includes("Display P3");
}

/** A decoded image as ImageData, in the colour space of its profile where the browser has that. */
export function imageData({ data, width, height, icc }) {
  return isDisplayP3(icc) ? new ImageData(data, width, height, { colorSpace: "display-p3" }) : new ImageData(data, width, height);
}
