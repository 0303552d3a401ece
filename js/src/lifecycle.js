const TICK = 5_000;
const LATE = 10_000;

/** Tells a connection what the browser does with the page: puts it away, sleeps, goes offline. */
export class Lifecycle {
  #listening = null;
  #timer = null;

  /**
   * @param {Window} window
   * @param {object} actions
   * @param {() => void} actions.suspend the page is being put away
   * @param {() => void} actions.resume it is back from the back/forward cache
   * @param {() => void} actions.check the connection may have died unnoticed
   * @param {() => void} actions.networkLost
   */
  constructor(window, { suspend, resume, check, networkLost }) {
    this.window = window;
    Object.assign(this, { suspend, resume, check, networkLost });
  }

  start() {
    if (this.#listening) return;
    const { document } = this.window;
    this.#listening = new AbortController();
    const options = { signal: this.#listening.signal };
    this.window.addEventListener("pagehide", () => this.suspend(), options);
    this.window.addEventListener("pageshow", (event) => event.persisted && this.resume(), options);
    this.window.addEventListener("online", () => this.check(), options);
    this.window.addEventListener("offline", () => this.networkLost(), options);
    document.addEventListener("visibilitychange", () => document.hidden || this.check(), options);
    this.#watchClock();
  }

  stop() {
    this.#listening?.abort();
    this.#listening = null;
    clearInterval(this.#timer);
  }

  // A machine that slept fires its timers late.
  #watchClock() {
    let last = Date.now();
    this.#timer = setInterval(() => {
      const now = Date.now();
      if (now - last > TICK + LATE) this.check();
      last = now;
    }, TICK);
  }
}
