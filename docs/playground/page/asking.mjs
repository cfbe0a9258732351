// One input is shown to the page's own model and to every server; each answer goes into its card.

import { AnswerCard, named, percent } from './answer_card.mjs';
import { Latest, pause } from './latest.mjs';
import { NoModel, PageModel, described } from './page_model.mjs';
import { ask, curl, isLong } from './servers.mjs';

const QUIET_MS = 150; // without a new stroke, before the servers are asked
const HERE = 'this page';
const TOLERANCE = 1e-5; // of the project's workloads; a server's artifact says its own

export class Asking {
  #latest = new Latest();
  #model = null;
  #servers;

  /** `panel` is the part of the page for one workload; `top` is how many classes a card shows. */
  constructor(panel, workload, { servers, workloads }, models, top = null) {
    Object.assign(this, { panel, workload, top });
    this.known = workloads[workload] ?? {};
    this.labels = this.known.labels ?? [];
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

  async #load() {
    if (!this.isHere) {
      this.own.wait(
        `This page has no model of ${this.workload}. Make it with “python -m models devices --exports onnx --keep DIR”, and start “loadtest playground --models DIR”.`,
      );
      return;
    }
    this.own.wait('loads the model…');
    try {
      const description = await described(this.workload);
      this.labels = description.labels; // known before the model is there, and where its runtime is missing
      this.#model = await PageModel.load(description);
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
    const answers = new Map(); // probabilities by who gave them
    for (const { card } of this.#servers) card.asking();
    const here = this.#askHere(values, turn, answers);
    await pause(QUIET_MS, turn.signal);
    if (!turn.isCurrent()) return;
    const written = body();
    await Promise.all([here, ...this.#servers.map((one) => this.#askServer(one, written, turn, answers))]);
    if (turn.isCurrent()) this.#tell(answers);
  }

  async #askHere(values, turn, answers) {
    await this.load();
    if (!this.#model || !turn.isCurrent()) return;
    let outcome;
    try {
      const { probabilities, ms } = await this.#model.predict(values);
      outcome = { probabilities, times: { 'for the forward pass': ms } };
    } catch (error) {
      outcome = { fault: `The model failed: ${error.message}` };
    }
    if (turn.isCurrent()) this.#show(this.own, HERE, outcome, answers);
  }

  async #askServer({ server, card }, body, turn, answers) {
    let outcome;
    try {
      outcome = await ask(server, this.workload, body, this.labels, turn.signal);
    } catch {
      return; // given up for a newer question, whose answer this card is for
    }
    if (!turn.isCurrent()) return;
    this.#show(card, card.title, outcome, answers);
    card.exchange(curl(server, this.workload, body), outcome, body, isLong(body) ? `${this.workload}.request.json` : '');
  }

  /** Show what came, and hold every server's answer against that of this page, or else against the first that came. */
  #show(card, who, outcome, answers) {
    card.show(outcome, this.labels);
    if (!outcome.probabilities) return;
    answers.set(who, outcome.probabilities);
    const [first] = answers.keys();
    const against = answers.has(HERE) ? HERE : first;
    const scale = { who: against, labels: this.labels, tolerance: this.known.tolerance ?? TOLERANCE };
    for (const { card: one } of this.#servers) {
      if (answers.has(one.title)) one.compare(answers.get(one.title), one.title === against ? null : answers.get(against), scale);
    }
  }

  #sentence(probabilities) {
    const best = probabilities.indexOf(Math.max(...probabilities));
    return `${named(this.labels, best)}, ${percent(probabilities[best])}`;
  }

  /** For who does not see the cards: the answer, and how many say the same. */
  #tell(answers) {
    if (!answers.size) return;
    const who = answers.has(HERE) ? HERE : [...answers.keys()][0];
    const agreeing = this.#servers.filter(({ card }) => card.agrees).length;
    const told = answers.size > 1 ? ` ${agreeing} of ${answers.size - 1} others agree.` : '';
    this.announced.textContent = `${who}: ${this.#sentence(answers.get(who))}.${told}`;
  }
}
