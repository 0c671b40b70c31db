"use strict";
(() => {
  const collator = new Intl.Collator("en", { numeric: true });

  /* Tables: a click on a column's heading sorts by it; what has no value comes last. */

  function sort(table, column, ascending) {
    const body = table.tBodies[0];
    const numeric = table.tHead.rows[0].cells[column].classList.contains("number");
    const key = (text) => (text === "" ? null : numeric ? Number(text) : text);
    const rows = Array.from(body.rows, (row) => ({ row, key: key(row.cells[column].dataset.sort) }));
    const missing = ({ key }) => key === null || Number.isNaN(key);
    const sign = ascending ? 1 : -1;
    rows.sort((one, other) => {
      if (missing(one) || missing(other)) return missing(one) - missing(other);
      return sign * (numeric ? one.key - other.key : collator.compare(one.key, other.key));
    });
    body.append(...rows.map(({ row }) => row));
  }

  /* What a filter looks in: a row's cells, and the reasons that they point to. */
  function searched(row) {
    const cells = Array.from(row.cells, (cell) => cell.firstElementChild?.textContent ?? "");
    const notes = Array.from(row.querySelectorAll(".mark"), (mark) => note(mark).textContent);
    return [...cells, ...notes].join("\n").toLowerCase();
  }

  function enliven(table) {
    const heads = Array.from(table.tHead.rows[0].cells);
    const rows = table.tBodies[0].rows;
    const [box, status, more] = ["filter", "status", "more"].map((part) => document.getElementById(`${table.id}-${part}`));
    const texts = new Map();
    let words = [];
    let order = "";
    let most = Number(table.dataset.firstRows);

    function show() {
      let kept = 0;
      for (const row of rows) {
        if (words.length && !texts.has(row)) texts.set(row, searched(row));
        const keep = words.every((word) => texts.get(row).includes(word));
        row.classList.toggle("out", !keep);
        row.classList.toggle("later", keep && ++kept > most);
      }
      if (!status) return;
      const count = kept === rows.length ? `${kept} rows` : `${kept} of ${rows.length} rows`;
      status.textContent = count + (kept > most ? `, the first ${most} shown` : "") + order;
      more.textContent = `Show all ${kept} rows`;
      more.hidden = kept <= most;
    }

    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const ascending = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        order = `, ${ascending ? "ascending" : "descending"} by ${button.textContent}`;
        sort(table, column, ascending);
        show();
      });
    });

    if (!box) return;
    let waiting = 0;
    box.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
        show();
      }, 150);
    });
    more.addEventListener("click", () => {
      most = Infinity;
      show();
      table.parentElement.focus();
    });
    box.parentElement.hidden = false;
    show();
  }

  document.querySelectorAll("table.sortable").forEach(enliven);

  /* Notes: the mark says its reason where the pointer or the focus is. */

  function note(mark) {
    return document.getElementById(mark.hash.slice(1));
  }

  for (const kind of ["pointerover", "focusin"]) {
    document.addEventListener(kind, ({ target }) => {
      if (target.matches?.(".mark:not([title])")) target.title = note(target).textContent;
    });
  }

  /* Plots: drawn when they come near the view, and again when their width, the colours or the medium change. */

  const plots = Array.from(document.querySelectorAll(".plot"));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paper = matchMedia("print");
  const paperWidth = 960;
  const narrow = 600;
  const legendEntry = { width: 190, height: 20 };
  const touched = matchMedia("(pointer: coarse)").matches; // a finger on a plot scrolls the page
  const drawn = new Map();
  let printing = paper.matches;
  let library = null;

  async function unpacked(element) {
    const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  function loadLibrary() {
    library ??= unpacked(document.getElementById("plotly")).then((text) => {
      const script = document.createElement("script");
      script.textContent = text;
      document.head.append(script);
    });
    return library;
  }

  /* The layout in the page's colours. On a narrow screen a legend has an entry a line, and names stand in the plot. */
  function fitted(layout, width, traces) {
    const style = getComputedStyle(document.documentElement);
    const ink = printing ? "#000" : style.getPropertyValue("--ink").trim();
    const rule = printing ? "#bbb" : style.getPropertyValue("--rule").trim();
    const axis = { gridcolor: rule, linecolor: rule, tickcolor: rule };
    const inside = width < narrow && layout.yaxis.ticktext ? { ticklabelposition: "inside top" } : {};
    const entries = layout.showlegend ? traces.filter((trace) => trace.showlegend !== false).length : 0;
    const lines = width < narrow ? entries : Math.ceil((entries * legendEntry.width) / width);
    return {
      ...layout,
      width,
      dragmode: touched ? false : "zoom",
      height: layout.height + legendEntry.height * lines,
      font: { color: ink, family: "system-ui, sans-serif", size: 13 },
      xaxis: { ...layout.xaxis, ...axis },
      yaxis: { ...layout.yaxis, ...axis, ...inside },
    };
  }

  function draw(place) {
    const width = printing ? paperWidth : place.clientWidth;
    const { data, layout } = JSON.parse(document.getElementById(`${place.id}-data`).textContent);
    Plotly.react(place, data, fitted(layout, width, data), { displayModeBar: false });
    drawn.set(place, width);
  }

  function print(now) {
    if (printing === now) return;
    printing = now;
    for (const details of document.querySelectorAll("details")) {
      if (now) details.dataset.wasOpen = details.open;
      details.open = now || details.dataset.wasOpen === "true";
    }
    if (typeof Plotly !== "undefined") (now ? plots : Array.from(drawn.keys())).forEach(draw);
  }

  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  paper.addEventListener("change", ({ matches }) => print(matches));
  if (plots.length === 0) return;
  dark.addEventListener("change", () => Array.from(drawn.keys()).forEach(draw));
  const sized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (!printing && drawn.has(target) && drawn.get(target) !== target.clientWidth) draw(target);
    }
  });
  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        loadLibrary()
          .then(() => draw(target))
          .catch((error) => {
            target.textContent = "This browser could not draw the plot; the tables hold the same numbers.";
            console.error(error);
          });
      }
    },
    { rootMargin: "600px" },
  );
  for (const place of plots) {
    near.observe(place);
    sized.observe(place);
  }
  addEventListener("load", () => setTimeout(loadLibrary, 200));
})();
