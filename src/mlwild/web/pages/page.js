// Forms and links do the work without this. It sends a filter when it is changed, keeps the choice of runs from page
// to page, and looks every half minute whether something has changed.
"use strict";

const filters = document.querySelector("form.filters");
if (filters) {
  for (const select of filters.querySelectorAll("select")) {
    select.addEventListener("change", () => filters.requestSubmit());
  }
}

const pick = document.getElementById("pick");
if (pick) {
  const button = document.getElementById("compare");
  const said = document.getElementById("picked");
  const drop = document.getElementById("drop");
  const boxes = [...pick.querySelectorAll("input[name=id]")];
  const chosen = new Set(JSON.parse(sessionStorage.getItem("picked") || "[]"));
  const show = () => {
    for (const box of boxes) box.checked = chosen.has(box.value);
    const n = chosen.size;
    const here = boxes.filter((box) => box.checked).length;
    const elsewhere = n > here ? `, ${n - here} of them not on this page` : "";
    button.disabled = n < 2 || n > 8;
    drop.hidden = n === 0;
    said.textContent = n === 0 ? "Pick 2 to 8 runs." : `${n} picked${elsewhere}${n > 8 ? ": 8 fit beside each other" : ""}.`;
    sessionStorage.setItem("picked", JSON.stringify([...chosen]));
  };
  pick.addEventListener("change", (event) => {
    if (event.target.checked) chosen.add(event.target.value);
    else chosen.delete(event.target.value);
    show();
  });
  drop.addEventListener("click", () => { chosen.clear(); show(); });
  pick.addEventListener("submit", () => {
    for (const id of chosen) {
      if (boxes.some((box) => box.value === id)) continue;
      const more = document.createElement("input");
      more.type = "hidden"; more.name = "id"; more.value = id;
      pick.append(more);
    }
  });
  window.addEventListener("pageshow", show);
  show();
}

if (document.body.hasAttribute("data-live")) {
  const lost = document.getElementById("lost");
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href);  // what is wrong is a page too
      const now = new DOMParser().parseFromString(await answer.text(), "text/html");
      const [old, fresh] = [document.querySelector("main"), now.querySelector("main")];
      const writing = document.activeElement && document.activeElement.matches("input, select");
      if (!writing && old.innerHTML !== fresh.innerHTML) old.replaceWith(fresh);
      document.title = now.title;
      document.getElementById("icon").href = now.getElementById("icon").href;
      document.getElementById("asof").replaceWith(now.getElementById("asof"));
      lost.hidden = true;
    } catch {
      const time = document.querySelector("#asof time").textContent;
      lost.textContent = `mlwild ui does not answer any more. What you see is how it was at ${time}.`;
      lost.hidden = false;
    }
  };
  setInterval(look, 30000);
  document.addEventListener("visibilitychange", look);
}
