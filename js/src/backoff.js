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
 * Where a series of runs stands.
 * @typedef {object} Series
 * @property {number} count runs so far
 * @property {number} last when the last of them is made, in milliseconds since the epoch
 * @property {number} wait how long that one had to wait, in milliseconds
 */

/**
 * Lets the first runs of a series through; more are a loop, whose waits double each time.
 * A series ends with quiet: a window, and twice the last wait.
 */
export class Throttle {
  #series = null;

  /**
   * @param {object} [options]
   * @param {number} [options.limit] runs of a series that don't wait
   * @param {number} [options.window] milliseconds; runs that are further apart are no series
   * @param {number} [options.max] longest wait, in milliseconds
   * @param {{load: () => Series|null, save: (series: Series) => void}} [options.memory] outlives the page
   */
  constructor({ limit = 5, window = 60_000, max = 900_000, memory } = {}) {
    Object.assign(this, { limit, window, max, memory });
  }

  /**
   * Count a run that is about to be made.
   * @param {number} now milliseconds since the epoch
   * @returns {number} how long it has to wait, in milliseconds
   */
  next(now) {
    this.#series ??= this.memory?.load();
    const { count, wait } = this.#goesOn(now) ? this.#series : { count: 0, wait: 0 };
    const held = count < this.limit ? 0 : Math.min(Math.max(this.window, 2 * wait), this.max);
    this.#series = { count: count + 1, last: now + held, wait: held };
    this.memory?.save(this.#series);
    return held;
  }

  // A clock that is set back is no reason to go on either.
  #goesOn(now) {
    if (!this.#series) return false;
    return Math.abs(now - this.#series.last) <= this.window + 2 * this.#series.wait;
  }
}
