"use strict";
// Everything works without this but the live list.
for (const live of document.querySelectorAll("[data-source]")) {
  const list = live.querySelector("[data-list]");
  const state = live.querySelector("[data-state]");
  const pause = live.querySelector("[data-pause]");
  const template = live.querySelector("template");
  const kept = 100;
  let source = null;

  // Texts are set as texts: nothing that is stored becomes markup.
  function show(save) {
    const row = template.content.cloneNode(true).firstElementChild;
    row.querySelector("time").textContent = save.time;
    row.querySelector(".scope").textContent = save.scope;
    const key = row.querySelector(".key");
    key.textContent = save.key;
    key.href = save.url;
    row.querySelector(".pill").hidden = !save.removed;
    for (const name of save.properties.slice(0, 8)) {
      const chip = document.createElement("code");
      chip.className = "chip";
      chip.textContent = name;
      row.append(chip, " ");
    }
    list.prepend(row);
    live.querySelector("[data-none]").hidden = true;
    while (list.children.length > kept) list.lastElementChild.remove();
  }

  function say(text, on) {
    state.textContent = text;
    live.classList.toggle("on", on);
  }

  function start() {
    source = new EventSource(live.dataset.source);
    source.onopen = () => say("Live", true);
    source.onerror = () => say("Disconnected; trying again", false);
    source.onmessage = (event) => show(JSON.parse(event.data));
    pause.textContent = "Pause";
  }

  function stop() {
    source.close();
    source = null;
    say("Paused", false);
    pause.textContent = "Go on";
  }

  pause.hidden = false;
  pause.addEventListener("click", () => (source ? stop() : start()));
  addEventListener("pagehide", () => source && source.close());
  addEventListener("pageshow", (event) => event.persisted && source && start());
  start();
}
