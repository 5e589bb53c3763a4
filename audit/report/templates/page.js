"use strict";
(() => {
  const all = (what, where = document) => Array.from(where.querySelectorAll(what));
  const form = document.getElementById("filter");

  const reveal = () => {
    const place = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!place) return;
    const inside = place.querySelector("details");
    if (inside && place.classList.contains("card")) inside.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    for (const item of closed) item.open = true;
  });
  addEventListener("afterprint", () => {
    for (const item of closed) item.open = false;
  });

  if (navigator.clipboard) {
    for (const block of all("pre.code")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = block.dataset.copy;
      button.addEventListener("click", () => navigator.clipboard.writeText(block.textContent));
      block.before(button);
    }
  }

  if (!form) return;
  form.hidden = false;
  const cards = all("article.card");
  const output = document.getElementById("filtered");
  const apply = () => {
    const text = form.elements.text.value.trim().toLowerCase();
    let shown = 0;
    for (const card of cards) {
      const fits =
        ["suite", "severity", "verdict"].every((name) => !form.elements[name].value || card.dataset[name] === form.elements[name].value) &&
        (!form.elements.language.value || !card.dataset.language || card.dataset.language === form.elements.language.value) &&
        (!text || card.textContent.toLowerCase().includes(text));
      card.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    output.textContent = output.dataset.text.replace("{shown}", shown).replace("{all}", cards.length);
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("open-all").addEventListener("click", () => {
    for (const card of cards) if (!card.hidden) for (const item of all("details", card)) item.open = true;
  });
  apply();
})();
