// The form of a schedule: shows the fields of the chosen kind, asks the server what would come, and puts its answer
// and each error where it belongs. The page of a schedule: its next ticks also in the browser's zone.
const WAIT = 250;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
const form = document.getElementById("schedule");
const ticks = document.getElementById("ticks");

async function fetched(address, options) {
  const answer = await fetch(address, { redirect: "manual", ...options });
  return answer.ok ? answer.text() : null;
}

function parsed(text) {
  return new DOMParser().parseFromString(text, "text/html").body;
}

if (ticks && zone) {
  const look = async () => {
    const text = await fetched(`${ticks.dataset.ticks}?zone=${encodeURIComponent(zone)}`).catch(() => null);
    if (text) ticks.replaceChildren(...parsed(text).childNodes);
  };
  look();
}

function begin() {
  const touched = new Set();
  const kept = new Map();
  let shown = form.elements.task.value;
  let waiting = null;
  let asking = null;

  function showKind() {
    const kind = form.querySelector("input[name=kind]:checked")?.value;
    for (const part of form.querySelectorAll("[data-kind]")) part.hidden = part.dataset.kind !== kind;
  }

  function showPolicy() {
    form.elements.missed_limit.closest(".field").hidden = form.elements.missed.value !== "all";
  }

  function usePreset() {
    const line = form.elements.preset.value.split(" ");
    if (line.length === 5) fillCron(line);
    form.elements.preset.value = "";
  }

  function fillCron(line) {
    ["minute", "hour", "day_of_month", "month_of_year", "day_of_week"].forEach((name, place) => {
      form.elements[name].value = line[place];
      touched.add(`id_${name}`);
    });
  }

  async function showArguments() {
    const task = form.elements.task.value;
    if (task === shown) return;
    const place = document.getElementById("arguments");
    kept.set(shown, [...place.childNodes]);
    shown = task;
    if (kept.has(task)) place.replaceChildren(...kept.get(task));
    else {
      const sent = new FormData(form);
      sent.set("_fields", "1");
      const text = await fetched(form.dataset.preview, { method: "POST", body: sent }).catch(() => null);
      if (text !== null && task === shown) place.replaceChildren(...parsed(text).childNodes);
    }
    ask();
  }

  function ask() {
    clearTimeout(waiting);
    waiting = setTimeout(look, WAIT);
  }

  async function look() {
    asking?.abort();
    asking = new AbortController();
    form.setAttribute("aria-busy", "true");
    try {
      const text = await fetched(form.dataset.preview, {
        method: "POST", body: new FormData(form), signal: asking.signal,
      });
      if (text !== null) show(parsed(text));
    } catch {
      // Another question is under way, or the server is away: what is shown stays.
    }
    form.removeAttribute("aria-busy");
  }

  function show(answer) {
    for (const name of ["preview", "outage"]) {
      const part = answer.querySelector(`[data-part=${name}]`);
      const place = document.getElementById(name);
      if (place.innerHTML !== part.innerHTML) place.replaceChildren(...part.childNodes);
    }
    showErrors(new Map([...answer.querySelectorAll("[data-part=errors] li")].map((li) => [li.dataset.for, li.textContent])));
  }

  function showErrors(said) {
    for (const slot of form.querySelectorAll(".errorlist[id]")) {
      const field = slot.id.replace(/_error$/, "");
      const told = "tellAll" in form.dataset || touched.has(field) || slot.classList.contains("part");
      const error = (told && said.get(field)) || "";
      if (slot.textContent !== error) slot.textContent = error;
      slot.hidden = !error;
      const input = document.getElementById(field);
      (input || slot).closest(".field")?.classList.toggle("errors", Boolean(error));
      if (input) {
        input.toggleAttribute("aria-invalid", Boolean(error));
        if (error) {
          input.setAttribute("aria-invalid", "true");
          input.setAttribute("aria-errormessage", slot.id);
        }
      }
    }
  }

  form.addEventListener("input", (event) => {
    if (event.target.id) touched.add(event.target.id);
    if (event.target.name === "preset") usePreset();
    showKind();
    showPolicy();
    ask();
    if (event.target.name === "task") showArguments();
  });
  form.elements.minute.addEventListener("paste", (event) => {
    const line = event.clipboardData.getData("text").trim().split(/\s+/);
    if (line.length !== 5) return;
    event.preventDefault();
    fillCron(line);
    ask();
  });

  form.elements.viewer_zone.value = zone;
  form.classList.add("live");
  showKind();
  showPolicy();
  look();
}

if (form) begin();
