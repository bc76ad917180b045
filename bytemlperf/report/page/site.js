"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const rows = [...document.querySelectorAll("#matrix-table tbody tr")];
  const apply = () => {
    const precision = byId("precision").value, verdict = byId("verdict").value;
    const words = byId("task-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      let left = 0;
      for (const cell of row.querySelectorAll("td[data-verdict]")) {
        const fits = (!precision || cell.dataset.precision === precision) && (!verdict || cell.dataset.verdict === verdict);
        // The column stays where it is; what does not fit is emptied.
        cell.classList.toggle("filtered", !fits);
        left += fits;
      }
      row.hidden = !left || !words.every((word) => row.dataset.task.toLowerCase().includes(word));
      shown += row.hidden ? 0 : left;
    }
    byId("site-count").textContent = `${shown} results`;
  };
  for (const id of ["precision", "verdict", "task-filter"]) byId(id).addEventListener("input", apply);
  apply();
})();
