import { beforeEach, expect, test } from "vitest";

import { changedControls, identify } from "../src/controls.js";
import { show } from "./helpers.js";

const $ = (selector) => document.querySelector(selector);

beforeEach(() => show(""));

test.each([
  ["<input name='a' value='1'>", (input) => (input.value = "2")],
  ["<input name='a'>", (input) => (input.value = "2")],
  ["<textarea name='a'>1</textarea>", (area) => (area.value = "2")],
  ["<input type='checkbox' name='a'>", (box) => (box.checked = true)],
  ["<input type='checkbox' name='a' checked>", (box) => (box.checked = false)],
  ["<input type='radio' name='a' value='1'>", (radio) => (radio.checked = true)],
])("%s is touched once it is changed, and not before", (html, change) => {
  document.body.innerHTML = html;
  const [control] = document.body.children;
  expect(changedControls(document).touched.has(control)).toBe(false);
  change(control);
  expect(changedControls(document).touched.has(control)).toBe(true);
});

test.each([
  ["<select><option>1</option><option>2</option></select>", 1],
  ["<select><option>1</option><option selected>2</option></select>", 0],
  ["<select><option disabled>1</option><option>2</option><option>3</option></select>", 2],
  ["<select multiple><option>1</option><option>2</option></select>", 0],
  ["<select multiple><option selected>1</option><option selected>2</option></select>", 1],
])("the choice in %s is restored once it is changed", (html, index) => {
  document.body.innerHTML = html;
  const select = $("select");
  const untouched = changedControls(document);
  const option = select.options[index];
  option.selected = !select.multiple || !option.selected;
  const chosen = [...select.options].map((each) => each.selected);
  const changed = changedControls(document);
  for (const each of select.options) each.selected = each.defaultSelected;
  untouched.restore();
  expect([...select.options].map((each) => each.selected)).not.toEqual(chosen);
  changed.restore();
  expect([...select.options].map((each) => each.selected)).toEqual(chosen);
});

function idsOf(html) {
  document.body.innerHTML = html;
  const forget = identify(document.body);
  const ids = [...document.body.querySelectorAll("input, div")].map((element) => element.id);
  forget();
  return ids;
}

test("fields of the same name are told apart by form, value and order", () => {
  const ids = idsOf(`<form action="/a/"><input name="x"><input name="x"></form><form action="/b/"><input name="x">
    <input type="radio" name="x" value="1"><input type="radio" name="x" value="2"></form>`);
  expect(new Set(ids).size).toBe(5);
});

test("a field is the same one wherever it stands in its form", () => {
  const [id] = idsOf("<form action='/a/'><input name='x'></form>");
  expect(idsOf("<form action='/a/'><p><input name='y'></p><p><input name='x'></p></form>")).toContain(id);
});

test("kept elements are named by their attribute", () => {
  const [id] = idsOf("<div data-serverpush-keep='player'></div>");
  expect(idsOf("<div data-serverpush-keep='chat'></div><div data-serverpush-keep='player'></div>")[1]).toBe(id);
});
