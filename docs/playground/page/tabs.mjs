// Tabs as the ARIA Authoring Practices describe them: the arrow keys go from one to the next, and show it.

export class Tabs {
  /** `opened` is called with the panel's id, at once for the one that the address names (#imagenet), or the first. */
  constructor(list, opened) {
    this.tabs = [...list.querySelectorAll('[role=tab]')];
    this.opened = opened;
    for (const tab of this.tabs) tab.addEventListener('click', () => this.#show(tab));
    list.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const at = this.tabs.indexOf(document.activeElement);
      const next = this.tabs.at((at + step) % this.tabs.length);
      next.focus();
      this.#show(next);
    });
    this.#show(this.tabs.find((tab) => `#${panelOf(tab)}` === location.hash) ?? this.tabs[0]);
  }

  #show(shown) {
    for (const tab of this.tabs) {
      tab.setAttribute('aria-selected', tab === shown);
      tab.tabIndex = tab === shown ? 0 : -1;
      document.getElementById(panelOf(tab)).hidden = tab !== shown;
    }
    history.replaceState(null, '', `#${panelOf(shown)}`);
    this.opened(panelOf(shown));
  }
}

const panelOf = (tab) => tab.getAttribute('aria-controls');
