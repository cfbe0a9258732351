// A board to draw on with a mouse, a finger, a pen or keys. Strokes are lists of points [x, y] in a square of side 1.

const PEN = 0.085; // width of a line
const STEP = 1 / 32; // of an arrow key; four times as far with Shift
const START = [0.5, 0.2]; // of the keys' pen
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Board {
  strokes = [];
  #pointer = null;
  #pen = [...START];
  #penIsDown = false;
  #background = null;
  #byKeys = true; // whether the keys' pen is shown

  /** `changed` is called with the strokes after each change; `told` with what a reader of the screen is to hear. */
  constructor(canvas, changed, told) {
    Object.assign(this, { canvas, changed, told });
    const on = (kind, handler) => canvas.addEventListener(kind, handler.bind(this));
    on('pointerdown', this.#down);
    on('pointermove', this.#move);
    for (const kind of ['pointerup', 'pointercancel', 'lostpointercapture']) on(kind, this.#up);
    on('keydown', this.#key);
    on('focus', this.#paint);
    on('blur', this.#leave);
    new ResizeObserver(() => this.#paint()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#paint());
  }

  undo() {
    this.strokes.pop();
    this.#lift();
    this.#changed();
  }

  /** Take everything away; `background` are grey values to be shown in its place, until something is drawn. */
  clear(background = null) {
    this.strokes = [];
    this.#pen = [...START];
    this.#lift();
    this.#background = background;
    if (background) this.#paint();
    else this.#changed();
  }

  #begin(point) {
    this.#background = null;
    this.strokes.push([point]);
    this.#changed();
  }

  #extend(points) {
    this.strokes.at(-1).push(...points);
    this.#changed();
  }

  #changed() {
    this.#paint();
    this.changed(this.strokes);
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((at) => Math.max(0, Math.min(1, at)));
  }

  #down(event) {
    if (this.#pointer !== null || event.button !== 0) return; // one finger draws
    event.preventDefault();
    this.#byKeys = false;
    this.canvas.focus({ preventScroll: true, focusVisible: false });
    this.#lift();
    this.#pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.#begin(this.#place(event));
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const all = event.getCoalescedEvents?.() ?? [];
    this.#extend((all.length ? all : [event]).map((one) => this.#place(one)));
  }

  #up(event) {
    if (event.pointerId === this.#pointer) this.#pointer = null;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    this.#byKeys = true;
    const move = MOVES[event.key];
    if (move) {
      const step = event.shiftKey ? 4 * STEP : STEP;
      this.#pen = this.#pen.map((at, axis) => Math.max(0, Math.min(1, at + move[axis] * step)));
      if (this.#penIsDown) this.#extend([[...this.#pen]]);
      else this.#paint();
    } else if (event.key === ' ') {
      if (event.repeat) return event.preventDefault();
      if (this.#penIsDown) this.#lift();
      else {
        this.#penIsDown = true;
        this.told('pen down');
        this.#begin([...this.#pen]);
      }
    } else if (event.key === 'Backspace') this.undo();
    else if (event.key === 'Delete') this.clear();
    else return;
    event.preventDefault();
  }

  #leave() {
    this.#byKeys = true;
    this.#lift();
  }

  #lift() {
    if (this.#penIsDown) this.told('pen up');
    this.#penIsDown = false;
    this.#paint();
  }

  #paint() {
    const { canvas } = this;
    const sharp = window.devicePixelRatio || 1;
    const side = Math.round(canvas.clientWidth * sharp);
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext('2d');
    const style = getComputedStyle(canvas);
    context.clearRect(0, 0, side, side);
    this.#paintBackground(context, side, style);
    Object.assign(context, { lineCap: 'round', lineJoin: 'round', lineWidth: PEN * side, strokeStyle: style.color });
    for (const stroke of this.strokes) {
      context.beginPath();
      stroke.forEach(([x, y], index) => context[index ? 'lineTo' : 'moveTo'](x * side, y * side));
      context.lineTo(...stroke.at(-1).map((at) => at * side)); // a point alone becomes a dot
      context.stroke();
    }
    if (document.activeElement === canvas && this.#byKeys) this.#paintPen(context, side, style);
  }

  #paintBackground(context, side, style) {
    if (!this.#background) return;
    context.fillStyle = style.color;
    const size = side / this.#background.length;
    this.#background.forEach((row, y) =>
      row.forEach((grey, x) => {
        context.globalAlpha = grey;
        context.fillRect(x * size, y * size, size + 0.5, size + 0.5);
      }),
    );
    context.globalAlpha = 1;
  }

  #paintPen(context, side, style) {
    context.beginPath();
    context.arc(this.#pen[0] * side, this.#pen[1] * side, (PEN / 2) * side, 0, 2 * Math.PI);
    Object.assign(context, { lineWidth: 0.01 * side, strokeStyle: style.accentColor, fillStyle: style.accentColor });
    if (this.#penIsDown) context.fill();
    else context.stroke();
  }
}
