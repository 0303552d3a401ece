/** Lets messages through, or keeps them back, in their order, while it is shut. */
export class Gate {
  #kept = null;
  #timer = null;

  /**
   * @param {(...message: any[]) => void} hand gets what comes through
   * @param {number} [longest] milliseconds that it stays shut, whatever it is waiting for
   */
  constructor(hand, longest = 10_000) {
    Object.assign(this, { hand, longest });
  }

  /** Keep back what comes from now on. */
  shut() {
    if (this.#kept) return;
    this.#kept = [];
    this.#timer = setTimeout(() => this.open(), this.longest);
  }

  /** Let through what was kept back, and what comes from now on. */
  open() {
    clearTimeout(this.#timer);
    const kept = this.#kept ?? [];
    this.#kept = null;
    for (const message of kept) this.hand(...message);
  }

  pass(...message) {
    if (this.#kept) this.#kept.push(message);
    else this.hand(...message);
  }
}
