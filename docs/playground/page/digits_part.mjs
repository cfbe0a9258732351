// The part of the page where a digit is drawn, or taken from the data set.

import { Asking } from './asking.mjs';
import { make } from './answer_card.mjs';
import { greyValues } from './bitmap.mjs';
import { Board } from './board.mjs';

export class DigitsPart {
  #isDue = false;

  constructor(panel, served, models) {
    this.panel = panel;
    this.asking = new Asking(panel, 'digits', served, models);
    const find = (selector) => panel.querySelector(selector);
    this.grey = find('.grey');
    this.undo = find('.undo');
    this.clear = find('.clear');
    this.hint = find('.board-hint');
    const pen = find('.pen');
    this.board = new Board(find('.board'), () => this.#changed(), (text) => (pen.textContent = text));
    this.undo.addEventListener('click', () => this.board.undo());
    this.clear.addEventListener('click', () => this.board.clear());
    this.#showExamples(find('.examples'));
  }

  open() {
    this.asking.load();
  }

  /** However many points a hand draws, the model is asked once in a frame. */
  #changed() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#ask(this.board.strokes.length ? greyValues(this.board.strokes) : null, 'What was drawn');
    });
  }

  #ask(rows, name) {
    this.hint.hidden = rows !== null;
    this.undo.disabled = this.board.strokes.length === 0;
    this.clear.disabled = rows === null;
    showGrey(this.grey, rows ?? []);
    this.grey.setAttribute('aria-label', rows ? `${name}, as 8 by 8 grey values` : 'Nothing yet');
    if (rows === null) this.asking.clear();
    else this.asking.ask(new Float32Array(rows.flat()), () => JSON.stringify({ instances: [rows] }));
  }

  async #showExamples(place) {
    const response = await fetch('models/digits/examples.json');
    const examples = response.ok ? await response.json() : [];
    place.replaceChildren(
      ...examples.map(({ label, sixteenths }) => {
        const rows = sixteenths.map((row) => row.map((value) => value / 16));
        const button = make('button', 'example');
        button.type = 'button';
        button.setAttribute('aria-label', `an example of a ${label}`);
        const picture = make('canvas');
        picture.width = picture.height = rows.length;
        showGrey(picture, rows);
        button.append(picture);
        button.addEventListener('click', () => {
          this.board.clear(rows);
          this.#ask(rows, `An example of a ${label}`);
        });
        return button;
      }),
    );
  }
}

/** Paint grey values, 0 to 1, as ink of a canvas of so many pixels; the style sheet inverts it on a dark ground. */
function showGrey(canvas, rows) {
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, canvas.width, canvas.height);
  rows.forEach((row, y) =>
    row.forEach((grey, x) => {
      context.globalAlpha = grey;
      context.fillRect(x, y, 1, 1);
    }),
  );
}
