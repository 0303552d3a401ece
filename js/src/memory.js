const KEY = "serverpush-refreshes";
const ADDRESSES = 20;

/**
 * What this tab remembers of the page's refreshes, by its address, across navigation.
 * Where there is no storage, or none is allowed, nothing is remembered.
 */
export class Memory {
  /** @param {Window} window */
  constructor(window) {
    this.window = window;
  }

  /** @returns {import("./backoff.js").Series|null} */
  load() {
    const series = this.#read()[this.#address()];
    const numbers = [series?.count, series?.last, series?.wait];
    return numbers.every(Number.isFinite) ? series : null;
  }

  /** @param {import("./backoff.js").Series} series */
  save(series) {
    const address = this.#address();
    const others = Object.entries(this.#read()).filter(([each]) => each !== address);
    const kept = Object.fromEntries([...others.slice(1 - ADDRESSES), [address, series]]);
    try {
      this.window.sessionStorage.setItem(KEY, JSON.stringify(kept));
    } catch {
      // Blocked or full: then the page remembers alone.
    }
  }

  #read() {
    try {
      return JSON.parse(this.window.sessionStorage.getItem(KEY)) ?? {};
    } catch {
      return {};
    }
  }

  #address() {
    return this.window.location.href.split("#")[0];
  }
}
