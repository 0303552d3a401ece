/** Hands each event to the three kinds of handlers. */
export class Events {
  #handlers = new Map();

  /** @param {Window} window */
  constructor(window) {
    this.window = window;
  }

  /**
   * @param {string} name of an update or message, or one of `connect`, `disconnect`, `refresh`, `logout`
   * @param {(data: any, meta: object) => void} fn gets `(data, event)` for the latter four,
   *   `event.preventDefault()` cancelling what would be done by default
   * @returns {() => void} stops it
   */
  on(name, fn) {
    if (typeof fn !== "function") throw new TypeError("serverpush.on(name, fn): fn is not a function");
    const entry = { fn };
    if (!this.#handlers.has(name)) this.#handlers.set(name, new Set());
    this.#handlers.get(name).add(entry);
    return () => this.#handlers.get(name).delete(entry);
  }

  /**
   * @param {string} name
   * @param {any} data
   * @param {object} [meta]
   */
  update(name, data, meta) {
    this.#dispatch(name, data, meta, () => meta);
  }

  /**
   * @param {string} name
   * @param {object} data
   * @returns {boolean} false if a handler prevented the default action
   */
  control(name, data) {
    return this.#dispatch(name, data, undefined, (event) => event);
  }

  #dispatch(name, data, meta, second) {
    const event = new this.window.CustomEvent(`serverpush:${name}`, { detail: data, bubbles: true, cancelable: true });
    if (meta) event.meta = meta;
    this.#call(name, data, second(event));
    const allowed = this.window.document.dispatchEvent(event);
    return this.#trigger(name, data, meta) && allowed;
  }

  #call(name, data, second) {
    for (const { fn } of [...(this.#handlers.get(name) ?? [])]) {
      this.guard(() => fn(data, second));
    }
  }

  #trigger(name, data, meta) {
    const jQuery = this.window.jQuery;
    if (typeof jQuery?.Event !== "function") return true;
    const type = `serverpush_${name}`;
    const event = jQuery.Event(type);
    if (meta) event.meta = meta;
    this.#isolate(jQuery, type);
    this.guard(() => jQuery(this.window.document).trigger(event, meta ? [data, meta] : [data]));
    return !event.isDefaultPrevented();
  }

  // jQuery runs an event's handlers in one loop, which the first error would end.
  #isolate(jQuery, type) {
    const [base] = type.split(".");
    const specials = jQuery.event?.special;
    if (!specials || specials[base]?.handle) return;
    const guard = this.guard.bind(this);
    specials[base] = {
      ...specials[base],
      handle(event, ...args) {
        return guard(() => event.handleObj.handler.call(this, event, ...args));
      },
    };
  }

  /** Run what one handler is to do; what it throws is reported, and stops no other. */
  guard(run) {
    try {
      return run();
    } catch (error) {
      if (this.window.reportError) this.window.reportError(error);
      else console.error(error);
      return undefined;
    }
  }
}
