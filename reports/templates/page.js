"use strict";
(() => {
  const number = (text) => (text === "" ? NaN : Number(text));

  function sort(table, column, ascending) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows).map((row) => ({ row, key: row.cells[column].dataset.sort }));
    const numeric = table.tHead.rows[0].cells[column].classList.contains("number");
    const sign = ascending ? 1 : -1;
    rows.sort((one, other) => {
      if (one.key === "" || other.key === "") return (one.key === "") - (other.key === "");
      if (numeric) return sign * (number(one.key) - number(other.key));
      return sign * one.key.localeCompare(other.key, "en", { numeric: true });
    });
    body.append(...rows.map(({ row }) => row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const ascending = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        sort(table, column, ascending);
      });
    });
  }

  const plots = Array.from(document.querySelectorAll(".plot"));
  if (plots.length === 0 || typeof Plotly === "undefined") return;
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink").trim();
    const rule = style.getPropertyValue("--rule").trim();
    const axis = { gridcolor: rule, linecolor: rule, tickcolor: rule };
    return { ink, axis, font: { color: ink, family: "system-ui, sans-serif", size: 13 } };
  };
  const themed = (layout) => {
    const { axis, font } = colours();
    return { ...layout, font, xaxis: { ...layout.xaxis, ...axis }, yaxis: { ...layout.yaxis, ...axis } };
  };
  const draw = () => {
    for (const place of plots) {
      const figure = JSON.parse(document.getElementById(`${place.id}-data`).textContent);
      Plotly.react(place, figure.data, themed(figure.layout), { responsive: true, displayModeBar: false });
    }
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
