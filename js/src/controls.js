const TEMPORARY = "serverpush-temporary:";

/**
 * The form controls below an element whose state is no longer the one they were rendered with.
 * @param {ParentNode} root
 * @returns {{touched: Set<Element>, restore: () => void}} `touched` holds inputs and textareas;
 *   `restore` selects again what was selected in changed selects
 */
export function changedControls(root) {
  const touched = new Set();
  const selects = new Map();
  for (const control of root.querySelectorAll("input, textarea, select")) {
    if (control.localName === "select") {
      if (isSelectChanged(control)) selects.set(control, selectedValues(control));
    } else if (isChanged(control)) {
      touched.add(control);
    }
  }
  return { touched, restore: () => selects.forEach(selectValues) };
}

function isChanged(control) {
  if (isChoice(control)) return control.checked !== control.defaultChecked;
  return control.value !== control.defaultValue;
}

function isChoice(control) {
  return control.type === "radio" || control.type === "checkbox";
}

function isSelectChanged(select) {
  const options = [...select.options];
  const rendered = options.filter((option) => option.defaultSelected);
  if (rendered.length === 0 && !select.multiple && select.size < 2) {
    return select.selectedIndex > options.findIndex((option) => !option.disabled);
  }
  const expected = select.multiple ? rendered : rendered.slice(-1);
  return options.some((option) => option.selected !== expected.includes(option));
}

function selectedValues(select) {
  return new Set([...select.selectedOptions].map((option) => option.value));
}

function selectValues(values, select) {
  const options = [...select.options];
  if (values.size && !options.some((option) => values.has(option.value))) return;
  for (const option of options) option.selected = values.has(option.value);
}

/**
 * Give temporary ids to what has to be recognised in another rendering and has
 * no id: named form controls and kept elements.
 * @param {Element|DocumentFragment} root
 * @returns {() => void} takes them away again
 */
export function identify(root) {
  const counts = new Map();
  const marked = [];
  for (const element of root.querySelectorAll("input[name], textarea[name], select[name], [data-serverpush-keep]")) {
    if (element.getAttribute("id")) continue;
    const key = TEMPORARY + identity(element, root);
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    element.setAttribute("id", `${key}|${count}`);
    marked.push(element);
  }
  return () => {
    const copies = root.ownerDocument.querySelectorAll(`[id^="${TEMPORARY}"]`);
    for (const element of [...marked, ...copies]) element.removeAttribute("id");
  };
}

function identity(element, root) {
  if (element.hasAttribute("data-serverpush-keep")) return `keep|${element.getAttribute("data-serverpush-keep")}`;
  const form = root.contains(element.form) ? element.form : null;
  const owner = ["id", "name", "action"].map((name) => form?.getAttribute(name)).find(Boolean) ?? "";
  const choice = isChoice(element) ? element.getAttribute("value") : "";
  return [owner, element.getAttribute("name"), element.type, choice].join("|");
}
