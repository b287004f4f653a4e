// Counts and excerpts, which are slower than the list and follow it; and the keys.
"use strict";
(() => {
  const list = document.querySelector("ol.pages");
  const count = document.querySelector("[data-count]");
  if (count && !("skip" in count.dataset)) {
    fetch(count.dataset.count)
      .then((answer) => (answer.ok ? answer.json() : Promise.reject()))
      .then((number) => {
        count.textContent = number.toLocaleString("en");
        document.querySelector("[data-unit]").hidden = false;
      })
      .catch(() => { count.textContent = count.dataset.slow; });
  }

  async function excerpts(from) {
    const rows = [...list.querySelectorAll("li[data-id]")];
    for (let at = 0; at < rows.length; at += 10) {
      const part = rows.slice(at, at + 10);
      const ids = part.map((row) => row.dataset.id).join(",");
      const answer = await fetch(from + (from.endsWith("?") ? "" : "&") + "ids=" + ids);
      if (!answer.ok) return;
      const found = await answer.json();
      for (const row of part) row.querySelector(".excerpt").textContent = found[row.dataset.id] || "";
    }
  }
  if (list && list.dataset.excerpts) excerpts(list.dataset.excerpts).catch(() => {});

  const form = document.querySelector("form.filter");
  if (form) form.addEventListener("change", (event) => {
    if (event.target.tagName === "SELECT" && event.target.name !== "within") form.requestSubmit();
  });
  // Empty fields stay out of the address.
  if (form) form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  });
  // The fields work again after going back.
  window.addEventListener("pageshow", () => {
    if (form) for (const field of form.elements) field.disabled = false;
  });

  function go(relation) {
    const link = document.querySelector(`main a[rel=${relation}]`);
    if (link) link.click();
  }
  function step(by) {
    const rows = [...document.querySelectorAll("ol.pages li[data-id]")];
    if (!rows.length) return;
    const now = rows.findIndex((row) => row.classList.contains("at"));
    const next = Math.min(rows.length - 1, Math.max(0, now + by));
    if (now >= 0) rows[now].classList.remove("at");
    rows[next].classList.add("at");
    rows[next].querySelector("a").focus({ preventScroll: true });
    rows[next].scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const keys = {
      n: () => go("next"), p: () => go("prev"), u: () => go("up"),
      j: () => step(1), k: () => step(-1),
      "/": () => { const field = document.querySelector("input[type=search]"); if (field) field.focus(); },
      r: () => { const field = document.querySelector(".mark input"); if (field) field.focus(); },
    };
    const mark = document.querySelector(`.mark button[data-key="${CSS.escape(event.key)}"]`);
    const act = keys[event.key] || (mark && (() => mark.click()));
    if (act) { event.preventDefault(); act(); }
  });
})();
