// Counts the runs that are picked, and sends a filter when it is changed; without it the forms work by their buttons.
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
  const look = () => {
    const n = pick.querySelectorAll("input:checked").length;
    button.disabled = n < 2 || n > 8;
    said.textContent = n === 0 ? "Pick 2 to 8 runs." : n > 8 ? `${n} picked: 8 fit beside each other.` : `${n} picked.`;
  };
  pick.addEventListener("change", look);
  look();
}
