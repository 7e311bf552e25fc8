// What every page has: messages, light and dark, and what it says about the model.
"use strict";

const { facts } = Drawing;
const find = (id) => document.getElementById(id);
const darkness = matchMedia("(prefers-color-scheme: dark)");

const say = (text) => { find("status").textContent = text; };
const element = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

// A word that a shell takes as it is, or in quotes.
const shellWord = (word) => (/^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
const showCommand = (words) => find("command").replaceChildren(...words.flatMap((word) => [" ", element("span", word)]).slice(1));

function sizeOf({ channels, height, width }) {
  const colour = ["grey", "grey with transparency", "colour", "colour with transparency"][channels - 1];
  return `${width} × ${height}, ${colour ?? plural(channels, "channel")}`;
}

function fail(error) {
  find("failure").textContent = `The images cannot be computed: ${error.message}`;
  find("failure").hidden = false;
}

// The system's choice of light or dark holds until the button is pressed.
function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : darkness.matches;
}

function showTheme() {
  find("theme").setAttribute("aria-pressed", String(isDark()));
}

find("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
darkness.addEventListener("change", showTheme);
showTheme();

// The lines under the page; `own` are those of this kind of model.
function introduce(own) {
  find("about").textContent = `${facts.arch} trained on ${facts.dataset}, step ${facts.step.toLocaleString("en")}`;
  const entries = [
    ["Data set", facts.dataset],
    ["Licence of the data", facts.licence || "not stated"],
    ...own,
    ["Weights", `${facts.weights}, ${facts.digest.slice(0, 12)}, ${facts.bits} bits each`],
    ["Made by", `gancli ${facts.version}`],
  ];
  for (const [term, text] of entries) {
    const group = document.createElement("div");
    group.append(element("dt", term), element("dd", text));
    find("facts").append(group);
  }
}
