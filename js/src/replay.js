// As many as the server keeps in its history by default: it replays no more.
const REMEMBERED = 10_000;

/**
 * Whether an event was sent by name: an update tells of a model's instance.
 * @param {{model?: string}} [meta]
 */
export function isMessage(meta) {
  return meta?.model === undefined;
}

/** Where this page stands in the server's log, and which events it has applied. */
export class Replay {
  #start;
  #safe = null;
  // By their ids; which of them are messages?
  #applied = new Map();
  #restarting = false;

  /**
   * @param {string|number} [start] when the page was rendered
   * @param {number} [remembered] how many event ids to keep
   */
  constructor(start, remembered = REMEMBERED) {
    this.#start = start;
    this.remembered = remembered;
  }

  /**
   * The one of the page as it is rendered anew: updates have to be applied to it again, while
   * messages have been handed over.
   * @param {string|number} [start] when it was
   */
  renewed(start) {
    const next = new Replay(start, this.remembered);
    next.#applied = new Map([...this.#applied].filter(([, wasMessage]) => wasMessage));
    return next;
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
   * @param {{id?: string, safe?: string, model?: string}} [meta]
   * @returns {boolean} whether it is new and has to be applied
   */
  take(meta) {
    const fresh = this.#isNew(meta);
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
   * Note where the log stands, and whether everything up to there has been sent.
   * @param {string} [position]
   * @param {boolean} [live]
   */
  ready(position, live) {
    // Who has no time of its own begins here, and may lose the connection before what comes next.
    this.#start ??= position;
    if (live) this.advance(position);
  }

  /**
   * Take the next position whatever it is: after the history is gone, positions
   * may come from another log and can't be compared.
   */
  restart() {
    this.#restarting = true;
  }

  #isNew(meta) {
    const id = meta?.id;
    if (id === undefined) return true;
    if (this.#applied.has(id)) return false;
    this.#applied.set(id, isMessage(meta));
    if (this.#applied.size > this.remembered) this.#applied.delete(this.#applied.keys().next().value);
    return true;
  }
}
