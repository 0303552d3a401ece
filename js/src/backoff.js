/** Growing, randomised waits between attempts. */
export class Backoff {
  #attempts = 0;

  /**
   * @param {object} options
   * @param {number} options.min first wait, in milliseconds
   * @param {number} options.max longest wait, in milliseconds, before it is randomised
   * @param {number} [options.spread] 0.5 makes a wait of 1 s any time from 0.5 s to 1.5 s
   * @param {() => number} [options.random] from 0 to 1
   */
  constructor({ min, max, spread = 0.5, random = Math.random }) {
    Object.assign(this, { min, max, spread, random });
  }

  /** @returns {number} the next wait, in milliseconds */
  next() {
    const wait = Math.min(this.min * 2 ** this.#attempts, this.max);
    this.#attempts += 1;
    return wait * (1 + this.spread * (2 * this.random() - 1));
  }

  reset() {
    this.#attempts = 0;
  }
}

/**
 * Lets a few runs a minute through; more are a loop, whose waits double each time
 * until there has been quiet for more than twice the last one.
 */
export class Throttle {
  #times = [];
  #last = -Infinity;
  #wait = 0;

  /**
   * @param {object} [options]
   * @param {number} [options.limit] runs a window
   * @param {number} [options.window] milliseconds
   * @param {number} [options.max] longest wait, in milliseconds
   */
  constructor({ limit = 5, window = 60_000, max = 900_000 } = {}) {
    Object.assign(this, { limit, window, max });
  }

  /**
   * Count a run that is about to be made.
   * @param {number} now milliseconds
   * @returns {number} how long it has to wait, in milliseconds
   */
  next(now) {
    if (now - this.#last > this.window + 2 * this.#wait) this.#wait = 0;
    this.#times = this.#times.filter((time) => now - time < this.window);
    const loops = this.#wait > 0 || this.#times.length >= this.limit;
    if (loops) this.#wait = Math.min(Math.max(this.window, 2 * this.#wait), this.max);
    this.#last = now + this.#wait;
    this.#times.push(this.#last);
    return this.#wait;
  }
}
