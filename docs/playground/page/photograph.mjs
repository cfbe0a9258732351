// A photograph becomes what the model was trained on: the middle 224x224 pixels, red, green and blue between 0 and 1.
//
// As models/imagenet_photographs.py does it: the shorter side is brought to 224 pixels with Pillow's bicubic, and the
// middle cut out. Two things are for photographs of a phone and a screenshot: one that is to be turned is turned, and what
// is transparent is white.

import { resizedPart } from './pillow_resize.mjs';

export const SIDE = 224;
const MOST_PIXELS = 16e6; // of a canvas, in the most cautious of browsers

/** The pixels of the square, 0 to 255; raises where the file is no picture that this browser reads. */
export async function squareOf(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none' });
  try {
    const fits = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
    const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.floor(side * fits)));
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.fillStyle = 'white';
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0, width, height);
    const scale = SIDE / Math.min(width, height);
    const to = { width: Math.round(width * scale), height: Math.round(height * scale) };
    const part = { left: Math.floor((to.width - SIDE) / 2), top: Math.floor((to.height - SIDE) / 2), size: SIDE };
    return resizedPart(context.getImageData(0, 0, width, height), to, part);
  } finally {
    bitmap.close();
  }
}

// Each of the 256 values as a float32 and with the nine digits that tell any two of those apart.
const VALUES = Float32Array.from({ length: 256 }, (_, value) => value / 255);
const WRITTEN = Array.from(VALUES, (value) => String(Number(value.toPrecision(9))));

/** What the model takes: the same between 0 and 1. */
export const valuesOf = (square) => Float32Array.from(square, (value) => VALUES[value]);

/** The request for a server. */
export function requestOf(square) {
  const rows = [];
  for (let y = 0; y < SIDE; y++) {
    const row = [];
    for (let x = 0; x < SIDE; x++) {
      const at = (y * SIDE + x) * 3;
      row.push(`[${WRITTEN[square[at]]},${WRITTEN[square[at + 1]]},${WRITTEN[square[at + 2]]}]`);
    }
    rows.push(`[${row.join()}]`);
  }
  return `{"instances":[[${rows.join()}]]}`;
}
