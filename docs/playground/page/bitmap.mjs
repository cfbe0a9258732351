// Strokes of a pen become what the model was trained on: 8x8 grey values.
//
// The training data are UCI's "Optical Recognition of Handwritten Digits". There, NIST's programs bring each digit to the
// same size, amount of ink and stance in a bitmap of 32x32 (NISTIR 5469), and the pixels that are on are counted in blocks
// of 4x4: 0 to 16, which the workload divides by 16. What scikit-learn's 1,797 digits have in common, and what is done here
// to look like them:
//   - the first and the last row hold ink in every one, and of the columns those from 1 to 6 in most: the box around the
//     strokes, whatever its proportions, is brought to HABITS.width x 32 pixels. A box that is much narrower, as of a 1
//     without a serif, keeps its proportions, or a line would become a block;
//   - 313 of the 1,024 pixels are on, 303 to 330 by class: the pen is as wide as that takes;
//   - the first ink of the first row stands in the same column of blocks as that of the last row in 82 of 100, and no
//     farther than one away in the others: that is how NIST takes the slant out, and the rows are shifted here as well.

export const SIDE = 32; // pixels of the bitmap
export const BLOCK = 4; // pixels of a side of a block
export const SIZE = SIDE / BLOCK; // blocks of a side
const FULL = BLOCK * BLOCK;

export const HABITS = { width: 21, narrowest: 0.4, ink: 312, thinnest: 1.3, thickest: 3.2 };

/** The rows of grey values, 0 to 1, that the model sees. `strokes` are lists of points [x, y] in any unit. */
export function greyValues(strokes, habits = HABITS) {
  let thin = habits.thinnest;
  let thick = habits.thickest;
  let bitmap;
  for (let step = 0; step < 8; step++) {
    const radius = (thin + thick) / 2;
    bitmap = upright(drawn(fitted(strokes, radius, habits), radius));
    if (count(bitmap) < habits.ink) thin = radius;
    else thick = radius;
  }
  return counted(bitmap);
}

/** The strokes in pixels of the bitmap: with a pen of this radius their box touches the first and the last row. */
function fitted(strokes, radius, { width, narrowest }) {
  const points = strokes.flat();
  const [left, right] = [Math.min(...points.map(([x]) => x)), Math.max(...points.map(([x]) => x))];
  const [top, bottom] = [Math.min(...points.map(([, y]) => y)), Math.max(...points.map(([, y]) => y))];
  const tall = bottom - top || 1e-6;
  const wide = right - left || 1e-6;
  // A dot has no proportions, and a level line is no taller than the pen: neither is stretched to the whole height.
  const vertical = (SIDE - 2 * radius) / Math.max(tall, wide / 4);
  const horizontal = Math.min((width - 2 * radius) / wide, wide / tall < narrowest ? vertical : Infinity);
  const [cx, cy] = [(left + right) / 2, (top + bottom) / 2];
  return strokes.map((stroke) =>
    stroke.map(([x, y]) => [SIDE / 2 + (x - cx) * horizontal, SIDE / 2 + (y - cy) * vertical]),
  );
}

/** The bitmap, row by row: a pixel is on whose middle is no farther from a stroke than the pen's radius. */
function drawn(strokes, radius) {
  const bitmap = new Uint8Array(SIDE * SIDE);
  for (const stroke of strokes) {
    for (let i = 0; i < stroke.length; i++) {
      const [from, to] = [stroke[Math.max(0, i - 1)], stroke[i]];
      const reach = (a, b) => [Math.max(0, Math.floor(Math.min(a, b) - radius)), Math.min(SIDE - 1, Math.ceil(Math.max(a, b) + radius))];
      const [left, right] = reach(from[0], to[0]);
      const [top, bottom] = reach(from[1], to[1]);
      for (let y = top; y <= bottom; y++) {
        for (let x = left; x <= right; x++) if (distance([x + 0.5, y + 0.5], from, to) <= radius) bitmap[y * SIDE + x] = 1;
      }
    }
  }
  return bitmap;
}

/** Of a point from the straight line between two others. */
function distance([x, y], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const part = length > 0 ? Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(x - ax - part * dx, y - ay - part * dy);
}

/** The bitmap with its rows shifted: the first pixel of the first row above that of the last, and all in the middle. */
function upright(bitmap) {
  const rows = Array.from({ length: SIDE }, (_, y) => bitmap.subarray(y * SIDE, (y + 1) * SIDE));
  const inked = rows.map((row) => [row.indexOf(1), row.lastIndexOf(1)]);
  const held = inked.flatMap(([first], y) => (first < 0 ? [] : [y]));
  const [top, bottom] = [held[0], held.at(-1)];
  const lean = bottom > top ? (inked[bottom][0] - inked[top][0]) / (bottom - top) : 0;
  const shifted = (y) => -lean * (y - top);
  const left = Math.min(...held.map((y) => inked[y][0] + shifted(y)));
  const right = Math.max(...held.map((y) => inked[y][1] + shifted(y)));
  const middle = (SIDE - 1 - left - right) / 2;
  const result = new Uint8Array(SIDE * SIDE);
  for (const y of held) {
    const shift = Math.round(shifted(y) + middle);
    for (let x = inked[y][0]; x <= inked[y][1]; x++) {
      if (rows[y][x] && x + shift >= 0 && x + shift < SIDE) result[y * SIDE + x + shift] = 1;
    }
  }
  return result;
}

const count = (bitmap) => bitmap.reduce((sum, on) => sum + on, 0);

/** Pixels that are on, block by block, in sixteenths. */
function counted(bitmap) {
  const rows = Array.from({ length: SIZE }, () => new Array(SIZE).fill(0));
  bitmap.forEach((on, place) => {
    rows[Math.floor(place / SIDE / BLOCK)][Math.floor((place % SIDE) / BLOCK)] += on / FULL;
  });
  return rows;
}
