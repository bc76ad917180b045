"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  // Figures travel gzipped, in base64; the browser unpacks them without any request.
  const unzip = async (text) => {
    const bytes = Uint8Array.from(atob(text), (mark) => mark.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  const unpacked = unzip(byId("figures").textContent);
  const themes = JSON.parse(byId("themes").textContent);
  const drawn = new Map();

  // Rows travel as columns: names of fields once, not in every row.
  const unpack = (data) => {
    if (data && data.fields) {
      return { values: data.rows.map((row) => Object.fromEntries(data.fields.map((field, i) => [field, row[i]]))) };
    }
    return data;
  };
  const isDark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const config = () => themes[isDark() ? "dark" : "light"];
  const draw = async (place) => {
    const key = place.dataset.figure;
    if (place.clientWidth === 0) return;
    drawn.get(key)?.finalize();
    drawn.set(key, null);
    try {
      const spec = structuredClone((await unpacked)[key]);
      spec.data = unpack(spec.data);
      for (const layer of spec.layer) if (layer.data) layer.data = unpack(layer.data);
      const result = await vegaEmbed(place, spec, {
        mode: "vega-lite", renderer: "svg", ast: true, config: config(),
        actions: { export: true, source: false, compiled: false, editor: false },
        downloadFileName: key, tooltip: { theme: isDark() ? "dark" : "light" },
      });
      drawn.set(key, result);
      place.dataset.drawn = "yes";
    } catch (error) {
      place.textContent = `This figure could not be drawn: ${error.message}`;
      throw error;
    }
  };
  // A page may hold hundreds of figures: only what comes near the window is drawn.
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting && !drawn.has(entry.target.dataset.figure)) draw(entry.target);
    }
  }, { rootMargin: "400px" });
  const plots = all(".plot");
  plots.forEach((plot) => near.observe(plot));
  const drawAll = async () => {
    for (const plot of plots) if (!drawn.has(plot.dataset.figure)) await draw(plot);
  };
  const openAll = () => all("details").forEach((details) => { if (!details.closest(".vega-embed")) details.open = true; });
  window.addEventListener("beforeprint", () => { openAll(); drawAll(); });
  byId("print").addEventListener("click", async () => { openAll(); await drawAll(); window.print(); });

  const themeButton = byId("theme");
  const showTheme = () => {
    themeButton.textContent = isDark() ? "Light" : "Dark";
    themeButton.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
    themeButton.setAttribute("aria-pressed", String(isDark()));
    for (const [key, result] of drawn) if (result) draw(document.querySelector(`[data-figure="${key}"]`));
  };
  const keep = (value) => { try { localStorage.setItem("bytemlperf-theme", value); } catch { /* a private window */ } };
  try { const kept = localStorage.getItem("bytemlperf-theme"); if (kept) document.documentElement.dataset.theme = kept; } catch { /* a private window */ }
  themeButton.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    keep(document.documentElement.dataset.theme);
    showTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  showTheme();

  const openTarget = () => {
    const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    if (target) {
      for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
      target.scrollIntoView();
    }
  };
  window.addEventListener("hashchange", openTarget);
  openTarget();

  const compare = (a, b) => {
    const left = a.dataset.value, right = b.dataset.value;
    // What has no value goes last, whichever way the others are sorted.
    if (left === "" || right === "") return left === right ? 0 : left === "" ? Infinity : -Infinity;
    const numbers = [Number(left), Number(right)];
    return numbers.some(Number.isNaN) ? left.localeCompare(right) : numbers[0] - numbers[1];
  };
  for (const table of all("table.sortable")) {
    all("thead th", table).forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => {
        const ascending = heading.getAttribute("aria-sort") !== "ascending";
        all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        const rows = all("tbody tr", table);
        rows.sort((a, b) => {
          const order = compare(a.children[column], b.children[column]);
          return Number.isFinite(order) && !ascending ? -order : order === Infinity ? 1 : order === -Infinity ? -1 : order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  }

  const filter = byId("filter"), points = byId("all-points");
  if (filter && points) {
    const rows = all("tbody tr", points);
    const apply = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const cells = all("td", row).map((cell) => cell.textContent.toLowerCase());
        // "valid" is part of "invalid": the verdict has to be meant whole.
        row.hidden = !words.every((word) => cells.some((text, i) => (i === cells.length - 1 ? text === word : text.includes(word))));
        shown += !row.hidden;
      }
      byId("count").textContent = `${shown} of ${rows.length} points`;
    };
    filter.addEventListener("input", apply);
    apply();
    const keys = all("thead th", points).map((heading) => heading.dataset.key);
    const records = () => all("tbody tr:not([hidden])", points).map((row) => Object.fromEntries(all("td", row).map((cell, i) => {
      const raw = cell.dataset.value;
      const isNumber = cell.classList.contains("number") && raw !== "" && !Number.isNaN(Number(raw));
      return [keys[i], raw === "" ? null : isNumber ? Number(raw) : raw];
    })));
    const quote = (value) => {
      if (value === null) return "";
      // A spreadsheet would run text that begins like a formula.
      const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
      return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const save = (text, type, name) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type }));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    };
    all("[data-download]").forEach((button) => button.addEventListener("click", () => {
      if (button.dataset.download === "json") return save(JSON.stringify(records(), null, 1), "application/json", "points.json");
      const lines = [keys, ...records().map((record) => keys.map((key) => record[key]))];
      return save(lines.map((line) => line.map(quote).join(",")).join("\r\n") + "\r\n", "text/csv", "points.csv");
    }));
  }
  all(".copy").forEach((button) => button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try { await navigator.clipboard.writeText(code.textContent); button.textContent = "Copied"; } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
  }));
})();
