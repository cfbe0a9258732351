// Bicubic resampling as Pillow does it (Image.resize with BICUBIC), to the last bit: the servers' examples were made by it.
//
// Where a picture becomes smaller, the cubic is stretched over all the pixels that one of the result stands for. First all
// rows are resampled, then all columns, both with weights of 22 binary digits and rounded to 8 bits in between.

const PRECISION = 22;
const HALF = 2 ** (PRECISION - 1);
const SUPPORT = 2; // the cubic is zero from there on
const A = -0.5; // of the cubic's family

function cubic(x) {
  const at = Math.abs(x);
  if (at < 1) return ((A + 2) * at - (A + 3)) * at * at + 1;
  return at < SUPPORT ? (((at - 5) * at + 8) * at - 4) * A : 0;
}

/** For each of the places from `start` on: the first pixel that it is made of, and the weights of that and the following. */
function weights(from, to, start, count) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: count }, (_, index) => {
    const middle = (start + index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - SUPPORT * stretch + 0.5));
    const end = Math.min(from, Math.trunc(middle + SUPPORT * stretch + 0.5));
    const exact = Array.from({ length: end - first }, (_, at) => cubic((at + first - middle + 0.5) / stretch));
    const sum = exact.reduce((all, one) => all + one, 0);
    return { first, whole: exact.map((one) => Math.trunc((one / sum) * 2 ** PRECISION + (one < 0 ? -0.5 : 0.5))) };
  });
}

const clipped = (sum) => Math.max(0, Math.min(255, Math.floor(sum / 2 ** PRECISION)));

/**
 * A part of a resized picture.
 *
 * `pixels` are red, green, blue and something fourth, row by row; the picture becomes `to.width` x `to.height`, and of that
 * the square of `size` pixels from (`left`, `top`) on is returned: red, green and blue, row by row.
 */
export function resizedPart({ data, width, height }, to, { left, top, size }) {
  const columns = weights(width, to.width, left, size);
  const rows = weights(height, to.height, top, size);
  const firstRow = rows[0].first;
  const lastRow = rows.at(-1).first + rows.at(-1).whole.length;
  const between = new Uint8Array((lastRow - firstRow) * size * 3);
  for (let y = firstRow; y < lastRow; y++) {
    columns.forEach(({ first, whole }, x) => {
      for (let channel = 0; channel < 3; channel++) {
        let sum = HALF;
        for (let at = 0; at < whole.length; at++) sum += data[(y * width + first + at) * 4 + channel] * whole[at];
        between[((y - firstRow) * size + x) * 3 + channel] = clipped(sum);
      }
    });
  }
  const part = new Uint8Array(size * size * 3);
  rows.forEach(({ first, whole }, y) => {
    for (let at = 0; at < size * 3; at++) {
      let sum = HALF;
      for (let row = 0; row < whole.length; row++) sum += between[(first + row - firstRow) * size * 3 + at] * whole[row];
      part[y * size * 3 + at] = clipped(sum);
    }
  });
  return part;
}
