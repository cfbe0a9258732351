// A card with what one place answers: the class, its probabilities, the time, and the request and answer themselves.

const SHOWN_RAW = 3000; // characters of a raw answer

export class AnswerCard {
  /** `colour` is the role of a colour in the style sheet; `top` is how many classes are shown, null for all in order. */
  constructor(title, { colour, top = null, note = '' }) {
    this.title = title;
    this.top = top;
    this.element = make('article', 'card');
    this.element.dataset.colour = colour;
    this.element.setAttribute('aria-label', title);
    this.says = make('p', 'says');
    this.bars = make('ol', 'bars');
    this.agreement = make('p', 'agreement');
    this.times = make('p', 'times');
    this.details = make('details', 'exchange');
    this.details.hidden = true;
    const heading = make('h3', '', title);
    this.element.append(heading, this.says, this.bars, this.agreement, this.times, this.details);
    if (note) heading.after(make('p', 'small', note));
    this.wait('waits for an input');
  }

  /** Nothing was asked: say why. */
  wait(text) {
    this.#state('waiting');
    this.says.replaceChildren(text);
    this.bars.replaceChildren();
    this.#unlike();
    this.times.textContent = '';
    this.details.hidden = true;
  }

  /** Asked, without an answer yet: what stands there is of the question before. */
  asking() {
    this.#state('asking');
  }

  /** Show probabilities by their labels, or the fault. */
  show({ probabilities, fault, times = {} }, labels) {
    this.#unlike();
    this.times.textContent = Object.entries(times)
      .map(([what, ms]) => `${milliseconds(ms)} ${what}`)
      .join(' · ');
    if (fault) {
      this.#state('fault');
      this.says.replaceChildren(fault);
      this.bars.replaceChildren();
      return;
    }
    this.#state('answered');
    const order = probabilities.map((_, index) => index).sort((a, b) => probabilities[b] - probabilities[a]);
    const [best] = order;
    this.says.replaceChildren(make('strong', 'class', named(labels, best)), ' ', make('span', 'share', percent(probabilities[best])));
    const shown = this.top ? order.slice(0, this.top) : probabilities.map((_, index) => index);
    this.bars.replaceChildren(...shown.map((index) => bar(named(labels, index), probabilities[index], index === best)));
  }

  /** Tell how far the answer is from that of another place; `other` is null where this is the one to compare with. */
  compare(probabilities, other, { who, labels, tolerance }) {
    if (other === null) return this.#unlike();
    const difference = Math.max(...probabilities.map((value, index) => Math.abs(value - other[index])));
    const [here, there] = [probabilities, other].map((all) => all.indexOf(Math.max(...all)));
    this.agrees = difference <= tolerance;
    const verdict = this.agrees ? `agrees with ${who}` : here === there ? `differs from ${who}` : `differs: ${who} says ${named(labels, there)}`;
    const amount = difference === 0 ? 'no difference at all' : `largest difference ${difference.toPrecision(2)}`;
    this.agreement.dataset.agrees = this.agrees;
    this.agreement.replaceChildren(`${verdict} `, make('span', 'amount', amount));
  }

  #unlike() {
    this.agrees = false;
    delete this.agreement.dataset.agrees;
    this.agreement.replaceChildren();
  }

  /** Show the request as a command, and the answer as it came. */
  exchange(command, { raw = '', status = 0 }, body, file) {
    this.details.hidden = false;
    const parts = [make('summary', '', 'Request and answer'), copied(command)];
    if (file) parts.push(saved(body, file));
    if (status) {
      const cut = raw.length > SHOWN_RAW ? `${raw.slice(0, SHOWN_RAW)}… (${raw.length - SHOWN_RAW} more characters)` : raw;
      parts.push(make('p', 'small', `HTTP ${status}`), scrolled(cut, 'raw answer'));
    }
    this.details.replaceChildren(...parts);
  }

  #state(state) {
    this.element.dataset.state = state;
    this.element.setAttribute('aria-busy', state === 'asking');
  }
}

export function make(name, kind = '', text = '') {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  if (text) element.textContent = text;
  return element;
}

/** The name of a class; its number where this page knows no names, as of a model that was built elsewhere. */
export const named = (labels, index) => labels[index] ?? `class ${index}`;

export const percent = (share) => `${(share * 100).toFixed(1)} %`;

const milliseconds = (ms) => (ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);

function bar(label, share, isBest) {
  const row = make('li', isBest ? 'best' : '');
  const length = make('span', 'length');
  length.style.setProperty('--share', share);
  row.append(make('span', 'label', label), length, make('span', 'value', percent(share)));
  return row;
}

function scrolled(text, name) {
  const block = make('pre', '', text);
  block.tabIndex = 0; // to be scrolled with keys
  block.setAttribute('role', 'region');
  block.setAttribute('aria-label', name);
  return block;
}

function copied(command) {
  const place = make('div', 'command');
  const button = make('button', 'copy', 'Copy');
  button.type = 'button';
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(block); // where the clipboard is refused, Ctrl-C does it
      button.textContent = 'Selected';
    }
    setTimeout(() => (button.textContent = 'Copy'), 1500);
  });
  const block = scrolled(command, 'request');
  place.append(block, button);
  return place;
}

/** A link that saves the body of the request; made anew, the one before is let go of. */
let lastSaved = null;
function saved(body, file) {
  if (lastSaved?.body !== body) {
    if (lastSaved) URL.revokeObjectURL(lastSaved.url);
    lastSaved = { body, url: URL.createObjectURL(new Blob([body], { type: 'application/json' })) };
  }
  const link = make('a', 'small', `Save ${file}`);
  link.href = lastSaved.url;
  link.download = file;
  return link;
}
