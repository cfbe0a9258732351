// One input is shown to the page's own model and to every server; each answer goes into its card.

import { AnswerCard, percent } from './answer_card.mjs';
import { Latest, pause } from './latest.mjs';
import { NoModel, PageModel } from './page_model.mjs';
import { ask, curl, isLong } from './servers.mjs';

const QUIET_MS = 150; // without a new stroke, before the servers are asked
const HERE = 'this page';

export class Asking {
  #latest = new Latest();
  #model = null;
  #servers;

  /** `panel` is the part of the page for one workload; `top` is how many classes a card shows. */
  constructor(panel, workload, { servers, workloads }, models, top = null) {
    Object.assign(this, { panel, workload, top });
    this.known = workloads[workload] ?? {};
    this.isHere = models.includes(workload);
    this.own = new AnswerCard('In this page', { colour: 'own', top });
    panel.querySelector('.here').replaceChildren(this.own.element);
    this.#servers = servers.map((server, index) => ({ server, card: new AnswerCard(server.label, { colour: `s${index % 4}`, top }) }));
    panel.querySelector('.servers').replaceChildren(...this.#servers.map(({ card }) => card.element));
    panel.querySelector('.servers-note').textContent = servers.length
      ? 'The same request goes to each of them at the same moment. One that is not up: loadtest up starts it.'
      : 'There is none behind this page. In a clone of the repository, loadtest up starts them and loadtest playground asks them.';
    this.announced = panel.querySelector('.announced');
  }

  /** Load the page's own model, where there is one; once. */
  load() {
    this.loading ??= this.#load();
    return this.loading;
  }

  get labels() {
    return this.#model?.labels ?? this.known.labels ?? [];
  }

  async #load() {
    if (!this.isHere) {
      this.own.wait(
        `This page has no model of ${this.workload}. Make it with “python -m models devices --keep DIR”, and start “loadtest playground --models DIR”.`,
      );
      return;
    }
    this.own.wait('loads the model…');
    try {
      this.#model = await PageModel.load(this.workload);
      this.own.wait('waits for an input');
    } catch (error) {
      this.own.show({ fault: error instanceof NoModel ? error.message : `The model cannot be loaded: ${error.message}` }, []);
    }
  }

  /** There is nothing to show to a model any more. */
  clear() {
    this.#latest.next();
    if (this.#model) this.own.wait('waits for an input');
    for (const { card } of this.#servers) card.wait('waits for an input');
    this.announced.textContent = '';
  }

  /** Ask for `values` (float32) in the page, and for `body()`, the JSON of the same, in the servers. */
  async ask(values, body) {
    const turn = this.#latest.next();
    const said = [];
    for (const { card } of this.#servers) card.asking();
    await this.load();
    if (!turn.isCurrent()) return;
    const here = await this.#askHere(values, turn);
    if (here) said.push([HERE, here.probabilities]);
    await pause(QUIET_MS, turn.signal);
    if (!turn.isCurrent()) return;
    if (here) this.announced.textContent = this.#sentence(here.probabilities);
    await Promise.all(this.#servers.map((one) => this.#askServer(one, body(), turn, said)));
    if (turn.isCurrent()) this.#tell(said);
  }

  async #askHere(values, turn) {
    if (!this.#model) return null;
    const { probabilities, ms } = await this.#model.predict(values);
    if (!turn.isCurrent()) return null;
    this.own.show({ probabilities, times: { 'for the forward pass': ms } }, this.labels);
    return { probabilities };
  }

  async #askServer({ server, card }, body, turn, said) {
    let outcome;
    try {
      outcome = await ask(server, this.workload, body, this.labels, turn.signal);
    } catch {
      return; // given up for a newer question, whose answer this card is for
    }
    if (!turn.isCurrent()) return;
    card.show(outcome, this.labels);
    card.exchange(curl(server, this.workload, body), outcome, body, isLong(body) ? `${this.workload}.request.json` : '');
    if (!outcome.probabilities) return;
    if (said.length) {
      const [who, probabilities] = said[0]; // that of this page, or else the first that came
      const tolerance = this.known.tolerance ?? 1e-5;
      card.agrees = card.compare(outcome.probabilities, probabilities, { who, labels: this.labels, tolerance });
    }
    said.push([card.title, outcome.probabilities]);
  }

  #sentence(probabilities) {
    const best = probabilities.indexOf(Math.max(...probabilities));
    return `${this.labels[best]}, ${percent(probabilities[best])}`;
  }

  /** For who does not see the cards: the answer, and how many say the same. */
  #tell(said) {
    if (!said.length) return;
    const [[who, first], ...others] = said;
    const agreeing = this.#servers.filter(({ card }) => card.element.dataset.state === 'answered' && card.agrees).length;
    const told = others.length ? ` ${agreeing} of ${others.length} others agree.` : '';
    this.announced.textContent = `${who}: ${this.#sentence(first)}.${told}`;
  }
}
