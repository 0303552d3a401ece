import { Idiomorph } from "idiomorph";

import { changedControls, identify } from "./controls.js";

const EXECUTABLE = /^(|module|importmap|speculationrules|(text|application)\/(x-)?(java|ecma|j|live)script.*)$/i;

/**
 * Make the page look like `html` without losing what the user is doing: focus,
 * typed input, selection, scroll. Scripts in `html` don't run; elements with
 * `data-serverpush-keep` stay as they are.
 * @param {string} html a whole page or, with `target`, the target's new content
 * @param {object} [options]
 * @param {string} [options.target] selector of the one element to swap; where `html` has no
 *   such element, all of `html` becomes the target's content
 * @returns {boolean} false if the page has no such target
 */
export function swap(html, { target } = {}) {
  if (target === undefined) {
    swapDocument(parse(html));
    return true;
  }
  const element = document.querySelector(target);
  if (!element) {
    console.warn(`serverpush.swap: the page has no ${target}`);
    return false;
  }
  const replacement = parse(html).querySelector(target);
  if (replacement) morph(element, replacement, "outerHTML");
  else morph(element, parseFragment(html), "innerHTML");
  return true;
}

/**
 * @param {string} html
 * @returns {Document} its scripts are inert
 */
export function parse(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  muteNoscript(parsed);
  return parsed;
}

/**
 * Swap in the body and the title of a parsed page.
 * @param {Document} parsed
 */
export function swapDocument(parsed) {
  if (parsed.querySelector("title")) document.title = parsed.title;
  // The body is one and the same, whatever its id.
  const id = parsed.body.getAttribute("id");
  setOrRemove(parsed.body, "id", document.body.getAttribute("id"));
  morph(document.body, parsed.body, "outerHTML");
  setOrRemove(document.body, "id", id);
}

// Parsed by innerHTML, scripts never run, wherever they are put later.
function parseFragment(html) {
  const template = new DOMParser().parseFromString("", "text/html").createElement("template");
  template.innerHTML = html;
  muteNoscript(template.content);
  return template.content;
}

// A document without scripting holds its elements, one with scripting their text.
function muteNoscript(root) {
  for (const noscript of root.querySelectorAll("noscript")) noscript.textContent = noscript.innerHTML;
}

function setOrRemove(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

function morph(element, replacement, morphStyle) {
  const root = element.parentNode;
  const controls = changedControls(root);
  const restoreView = rememberView();
  const forget = identify(element);
  identify(replacement);
  try {
    const content = morphStyle === "innerHTML" ? [...replacement.childNodes] : replacement;
    Idiomorph.morph(element, content, { morphStyle, callbacks: callbacks(controls.touched) });
  } finally {
    forget();
  }
  controls.restore();
  restoreView();
}

function callbacks(touched) {
  return {
    beforeNodeMorphed: (old, replacement) =>
      !isKept(old) && !isBeingEdited(old) && (old.localName !== "script" || (isData(old) && isData(replacement))),
    beforeNodeRemoved: (old) => !isKept(old),
    beforeAttributeUpdated: (name, element) =>
      !(["value", "checked"].includes(name) && touched.has(element)) &&
      !(name === "open" && ["details", "dialog"].includes(element.localName)),
  };
}

function isKept(node) {
  return node.nodeType === Node.ELEMENT_NODE && node.hasAttribute("data-serverpush-keep");
}

function isBeingEdited(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return false;
  return node.matches("[contenteditable]:not([contenteditable='false'])") && node.contains(document.activeElement);
}

function isData(script) {
  return !EXECUTABLE.test(script.getAttribute("type")?.trim() ?? "");
}

function rememberView() {
  const { scrollX, scrollY } = window;
  const scrolled = [...document.body.querySelectorAll("*")]
    .filter((element) => element.scrollTop || element.scrollLeft)
    .map((element) => [element, element.scrollTop, element.scrollLeft]);
  const restoreFocus = rememberFocus(document.activeElement);
  return () => {
    restoreFocus();
    for (const [element, top, left] of scrolled) Object.assign(element, { scrollTop: top, scrollLeft: left });
    if (window.scrollX !== scrollX || window.scrollY !== scrollY) window.scrollTo(scrollX, scrollY);
  };
}

function rememberFocus(active) {
  const selection = selectionOf(active);
  return () => {
    if (!active?.isConnected || document.activeElement === active) return;
    active.focus({ preventScroll: true });
    if (selection) active.setSelectionRange(...selection);
  };
}

function selectionOf(element) {
  // null for inputs such as numbers and dates, which have no text selection
  if (typeof element?.selectionStart !== "number") return null;
  return [element.selectionStart, element.selectionEnd, element.selectionDirection];
}
