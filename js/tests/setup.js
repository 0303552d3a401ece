// jsdom has no CSS.escape.
globalThis.CSS ??= { escape: (text) => text.replace(/[^\w-]/g, "\\$&") };
