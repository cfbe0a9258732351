"use strict";
// Charts: one Vega-Lite specification each. `views` lets scripts read the data behind a chart.
const { specs, config } = JSON.parse(document.getElementById("charts").textContent);
const views = {};
const tooltip = { disableDefaultStyle: true };
window.views = views;
window.drawn = Promise.all(
  Object.entries(specs).map(async ([key, spec]) => {
    const options = { config, tooltip, renderer: "svg", actions: false, defaultStyle: false };
    views[key] = (await vegaEmbed(`#chart-${key}`, spec, options)).view;
  })
);

// Tables are copied as tab-separated values, numbers in full and without separators.
for (const button of document.querySelectorAll("button.copy")) {
  const table = button.parentElement.querySelector("table");
  button.addEventListener("click", async () => {
    const text = [...table.rows].map((row) => [...row.cells].map(plain).join("\t")).join("\n") + "\n";
    const done = await copy(text);
    button.textContent = done ? "Copied" : "Copying is not allowed here: select the table instead";
    setTimeout(() => (button.textContent = "Copy table"), 2000);
  });
}

function plain(cell) {
  return cell.dataset.value ?? (cell.textContent === "—" ? "" : cell.textContent.trim());
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without permission, or from a page that is not served securely: the old way.
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

// Money: core-seconds times the reader's price, which is one for the whole page.
const prices = document.querySelectorAll("input.price");
const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
for (const price of prices) price.addEventListener("input", () => charge(price));
if (prices.length) charge(prices[0]);

function charge(price) {
  const each = price.valueAsNumber;
  for (const other of prices) if (other !== price) other.value = price.value;
  for (const cell of document.querySelectorAll("[data-core-s]")) {
    const money = (each * Number(cell.dataset.coreS)) / 3600;
    cell.textContent = Number.isFinite(money) && each >= 0 ? digits.format(money) : "—";
  }
}
