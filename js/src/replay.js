// As many as the server keeps in its history by default: it replays no more.
const REMEMBERED = 10_000;

/** Where this page stands in the server's log, and which events it has applied. */
export class Replay {
  #start;
  #safe = null;
  #applied = new Set();
  #restarting = false;

  /**
   * @param {string|number} [start] when the page was rendered
   * @param {number} [remembered] how many event ids to keep
   */
  constructor(start, remembered = REMEMBERED) {
    this.#start = start;
    this.remembered = remembered;
  }

  /** The last safe position, null before there was one. */
  get safe() {
    return this.#safe;
  }

  /** What to ask the server for: everything after this. */
  get since() {
    return this.#safe ?? this.#start;
  }

  /**
   * Note an event that has come.
   * @param {{id?: string, safe?: string}} [meta]
   * @returns {boolean} whether it is new and has to be applied
   */
  take(meta) {
    const fresh = this.#isNew(meta?.id);
    this.advance(meta?.safe);
    return fresh;
  }

  /**
   * Note that everything up to a position has been sent.
   * @param {string} [position]
   */
  advance(position) {
    if (typeof position !== "string") return;
    if (this.#safe === null || this.#restarting || position > this.#safe) this.#safe = position;
    this.#restarting = false;
  }

  /**
   * Take the next position whatever it is: after the history is gone, positions
   * may come from another log and can't be compared.
   */
  restart() {
    this.#restarting = true;
  }

  #isNew(id) {
    if (id === undefined) return true;
    if (this.#applied.has(id)) return false;
    this.#applied.add(id);
    if (this.#applied.size > this.remembered) this.#applied.delete(this.#applied.values().next().value);
    return true;
  }
}
