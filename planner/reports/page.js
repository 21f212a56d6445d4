// Brings the page's charts to life: the same picture, with tooltips and a legend to point at.
// Whatever fails, the still picture stays. Text is only ever set as text.
(() => {
  "use strict";
  if (typeof vegaEmbed !== "function") return;
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true"); // it repeats what the tables say
  document.querySelector("main").append(tip);

  const place = (event) => {
    const box = tip.getBoundingClientRect();
    const right = document.documentElement.clientWidth - box.width - 8;
    const below = event.clientY + 16;
    const fits = below + box.height < window.innerHeight;
    tip.style.left = `${Math.max(8, Math.min(event.clientX + 12, right))}px`;
    tip.style.top = `${fits ? below : Math.max(8, event.clientY - box.height - 12)}px`;
  };
  const show = (handler, event, item, value) => {
    tip.hidden = !value || typeof value !== "object";
    if (tip.hidden) return;
    const list = document.createElement("dl");
    for (const [name, text] of Object.entries(value)) {
      if (text === "") continue;
      list.append(document.createElement("dt"), document.createElement("dd"));
      list.lastChild.previousSibling.textContent = name;
      list.lastChild.textContent = text;
    }
    tip.replaceChildren(list);
    place(event);
  };
  const hide = () => { tip.hidden = true; };
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  document.addEventListener("scroll", hide, { passive: true });

  const options = {
    actions: false,
    ast: true, // expressions are interpreted: the page's policy lets nothing be evaluated
    defaultStyle: false,
    mode: "vega-lite",
    renderer: "svg",
    tooltip: show,
  };
  for (const figure of document.querySelectorAll("figure")) {
    const spec = figure.querySelector("script[type='application/json']");
    const view = document.createElement("div");
    view.className = "view";
    figure.querySelector(".plot").append(view);
    vegaEmbed(view, JSON.parse(spec.textContent), options).then(
      () => figure.classList.add("live"),
      () => view.remove(),
    );
  }
})();
