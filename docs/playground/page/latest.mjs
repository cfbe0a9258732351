// Of several questions in a row only the answer to the last one is shown.

export class Latest {
  #number = 0;
  #leaving = null;

  /** Begin a turn and end the one before: its requests are given up, and what still comes of it is not to be shown. */
  next() {
    this.#leaving?.abort();
    this.#leaving = new AbortController();
    const number = ++this.#number;
    return { signal: this.#leaving.signal, isCurrent: () => number === this.#number };
  }
}

/** Wait, or end at once where the turn has ended. */
export const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
