// Keeps the page up to date, filters the table, and moves through the window. Without it everything still can be read.
"use strict";

const POLL = Number(document.body.dataset.poll) * 1000;
let address = location.href;
const served = new Map(); // id of a part → the HTML that it was made of
let last = 0; // number of the newest request: answers of older ones are dropped

const byId = (id) => document.getElementById(id);

// Text that somebody is selecting, to copy it, stays as it is.
function isSelected(part) {
  const selection = document.getSelection();
  return selection && !selection.isCollapsed && selection.containsNode(part, true);
}

function renew(fresh, force) {
  const focused = document.activeElement && document.activeElement.id;
  for (const part of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(part.id);
    if (!newer || newer.innerHTML === served.get(part.id) || (!force && isSelected(part))) continue;
    const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
    const scrolled = [...part.querySelectorAll(".wide")].map((one) => one.scrollLeft);
    part.replaceChildren(document.importNode(newer, true));
    part.firstChild.replaceWith(...part.firstChild.childNodes);
    served.set(part.id, newer.innerHTML);
    for (const id of open) if (byId(id)) byId(id).open = true;
    part.querySelectorAll(".wide").forEach((one, n) => { one.scrollLeft = scrolled[n] || 0; });
  }
  const slider = byId("at-range"), newer = fresh.getElementById("at-range");
  if (slider && newer) {
    for (const name of ["min", "max", "step"]) slider[name] = newer[name];
    slider.setAttribute("aria-valuetext", newer.getAttribute("aria-valuetext"));
    if (document.activeElement !== slider) slider.value = newer.value;
    const text = byId("at");
    if (document.activeElement !== text) text.value = fresh.getElementById("at").value;
  }
  if (focused && byId(focused) && document.activeElement !== byId(focused)) byId(focused).focus({ preventScroll: true });
  filter();
}

async function look(force) {
  const mine = ++last;
  try {
    const answer = await fetch(address, { cache: "no-store", redirect: "error" });
    const text = await answer.text();
    if (mine !== last) return;
    if (!answer.ok && answer.status !== 404) throw new Error(text);
    renew(new DOMParser().parseFromString(text, "text/html"), force);
    say("");
  } catch (error) {
    if (mine === last) say(`kubectl pgwarden dashboard does not answer: it has ended, or its address is another by now. ${shown()}`);
  }
}

function shown() {
  const read = document.querySelector("#said time");
  return read ? `What is shown was read at ${read.textContent}.` : "";
}

function say(text) {
  const lost = byId("lost");
  if (lost.textContent !== text) lost.textContent = text;
  lost.hidden = !text;
}

// --- the table ---

function filter() {
  const field = byId("filter");
  if (!field) return;
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const wrong = byId("only-wrong").checked;
  let shown = 0;
  for (const row of document.querySelectorAll("tbody.row")) {
    const fits = words.every((word) => row.dataset.key.toLowerCase().includes(word));
    row.hidden = !fits || (wrong && row.dataset.state === "protected" && !row.querySelector(".wrong"));
    if (!row.hidden) shown++;
  }
  const said = words.length || wrong ? `${shown} shown` : "";
  if (byId("shown").textContent !== said) byId("shown").textContent = said;
}

if (byId("filter")) {
  document.querySelector(".filter").hidden = false;
  byId("filter").addEventListener("input", filter);
  byId("only-wrong").addEventListener("change", filter);
}

// --- the window ---

function goTo(at) {
  const there = new URL(location.href);
  there.searchParams.set("at", at);
  address = there.href;
  history.replaceState(null, "", address);
  return look(true);
}

const slider = byId("at-range");
if (slider) {
  slider.hidden = false;
  let waiting = 0;
  slider.addEventListener("input", () => {
    clearTimeout(waiting);
    const at = Number(slider.value) >= Number(slider.max) - Number(slider.step) / 2 ? "latest" : slider.value;
    waiting = setTimeout(() => goTo(at), 60);
  });
  byId("choose").addEventListener("submit", (event) => {
    event.preventDefault();
    goTo(byId("at").value.trim());
  });
  byId("at-latest").addEventListener("click", (event) => {
    event.preventDefault();
    goTo("latest");
  });
}

document.addEventListener("click", async (event) => {
  const id = event.target.dataset && event.target.dataset.copy;
  if (!id) return;
  try {
    await navigator.clipboard.writeText(byId(id).textContent);
    byId("copied").textContent = "Copied.";
  } catch (error) {
    getSelection().selectAllChildren(byId(id));
    byId("copied").textContent = "Selected: copy it with the keyboard.";
  }
});

setInterval(() => { if (!document.hidden) look(false); }, POLL);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(false); });
