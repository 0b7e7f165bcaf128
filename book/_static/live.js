// Figures that run and chapters that run again, under `seedbook serve`; anywhere else one line says how to get them.
(() => {
  "use strict";
  const glance = document.querySelector(".sb-glance[data-slug]");
  if (!glance) return;                                                   // not the page of a chapter
  const slug = glance.dataset.slug, run = glance.dataset.run, api = "/seedbook/api";
  const live = Boolean(document.querySelector('meta[name="seedbook-server"]')) && !/(^|; )seedbook_guest=1/.test(document.cookie);

  // --- small things -------------------------------------------------------------------------------
  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value === true) node.setAttribute(key, "");
      else if (value !== false && value != null) node.setAttribute(key, value);
    }
    node.append(...children.filter((c) => c != null));
    return node;
  }
  const button = (text, onclick, css = "") => el("button", { type: "button", class: `sb-btn ${css}`.trim(), onclick }, text);
  const mark = (verdict) => el("span", { class: `sb-v sb-v--${verdict.replaceAll(" ", "-")}` }, verdict);
  const seconds = (s) => (s < 100 ? `${Math.max(1, Math.round(s))} s` : `${Math.round(s / 60)} min`);
  const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  const GONE = "The server does not answer. Start `seedbook serve` and open the address that it prints.";

  class Failure extends Error {}
  async function ask(path, options = {}) {
    const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] ?? "";
    let answer;
    try {
      answer = await fetch(api + path, { ...options, headers: { "X-XSRFToken": xsrf, ...(options.body ? { "Content-Type": "application/json" } : {}) } });
    } catch { throw new Failure(GONE); }
    const value = await answer.json().catch(() => ({}));
    if (answer.ok) return value;
    throw new Failure(answer.status === 403 ? "The server was started anew. Open the address that it printed." : value.message || `The server answered ${answer.status}.`);
  }
  const post = (path, value) => ask(path, { method: "POST", body: JSON.stringify(value) });

  function place() {                                                     // where the panel goes: after the verdicts
    const verdicts = document.querySelector(".sb-verdicts")?.closest("section");
    return verdicts ?? document.querySelector("article section section:last-of-type") ?? glance;
  }
  if (!live) {
    place().after(el("p", { class: "sb-ui sb-static" }, "Figures run and chapters run again on your own machine: start ", el("code", {}, "seedbook serve"), " in a clone of the book."));
    return;
  }

  // --- figures ------------------------------------------------------------------------------------
  const tab = random(), frames = glance.dataset.published === "true" ? "published" : "stored";
  let kernel = false;                                                    // whether this page has asked for one
  window.addEventListener("pagehide", () => {
    if (kernel) ask(`/view/${tab}`, { method: "DELETE", keepalive: true }).catch(() => {});
    kernel = false;
  });

  function wireFigure(cell) {
    const figure = cell.querySelector("figure[id]"), image = figure?.querySelector("img"), code = cell.querySelector(".cell_input pre");
    const id = [...cell.classList].find((c) => c.startsWith("tag_cell-"))?.slice("tag_cell-".length);
    if (!image || !code || !id) return;
    const published = { source: code.textContent.replace(/\n$/, ""), src: image.src };
    const name = figure.id;
    const status = el("span", { role: "status" });
    const editor = el("textarea", { id: `edit-${name}`, spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-describedby": `hint-${name}` });
    editor.value = published.source;
    editor.rows = Math.min(40, published.source.split("\n").length + 1);
    const printed = el("pre", { class: "sb-printed", hidden: true, tabindex: "0", "aria-label": "What the code printed" });
    const box = el("div", { class: "sb-live sb-ui", hidden: true },
      el("label", { class: "sb-hidden", for: editor.id }, "Code of this figure"), editor, printed,
      el("p", { class: "sb-hint", id: `hint-${name}` }, "Ctrl+Enter runs. The code sees the frames that the experiment has stored; it does not repeat it."));
    const go = button("Run", draw, "sb-btn--main"), stop = button("Stop", end), edit = button("Edit", () => open(box.hidden)), reset = button("Reset", restore);
    edit.setAttribute("aria-expanded", "false");
    edit.setAttribute("aria-controls", editor.id);
    stop.hidden = reset.hidden = true;
    figure.after(el("div", { class: "sb-figbar sb-ui", role: "group", "aria-label": "Run this figure" }, go, stop, edit, reset, status), box);

    function open(yes) {
      box.hidden = !yes;
      edit.textContent = yes ? "Close" : "Edit";
      edit.setAttribute("aria-expanded", String(yes));
    }
    function show(text, wrong = false) {
      status.textContent = text;
      status.classList.toggle("sb-error", wrong);
    }
    function print(text, wrong = false) {
      printed.textContent = text;
      printed.hidden = !text;
      printed.classList.toggle("sb-error", wrong);
    }
    function picture(src) {
      if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
      image.src = src;
    }
    async function draw() {
      open(true);
      go.disabled = true;
      stop.hidden = false;
      show(kernel ? "Drawing." : "Starting a kernel.");
      kernel = true;
      reset.hidden = false;
      try {
        const out = await post("/view", { tab, slug, run, cell: id, source: editor.value });
        if (out.error) {
          print(out.text + out.error.traceback, true);
          show(`${out.error.name}: ${out.error.value.split("\n")[0]}`.slice(0, 160), true);
        } else {
          print(out.text);
          if (out.image) {
            const bytes = out.image.mime === "image/png" ? Uint8Array.from(atob(out.image.data), (c) => c.charCodeAt(0)) : out.image.data;
            picture(URL.createObjectURL(new Blob([bytes], { type: out.image.mime })));
          }
          show(out.image ? `Drawn in ${out.seconds.toFixed(1)} s from the ${frames} frames.` : "The code drew no picture.");
        }
      } catch (error) {
        show(error.message, true);
      } finally {
        go.disabled = false;
        stop.hidden = true;
      }
    }
    async function end() {
      show("Stopping.");
      await ask(`/view/${tab}`, { method: "DELETE" }).catch(() => {});
    }
    function restore() {
      editor.value = published.source;
      picture(published.src);
      print("");
      show("The published code and picture.");
      reset.hidden = true;
      (box.hidden ? edit : editor).focus();
    }
    editor.addEventListener("input", () => { reset.hidden = editor.value === published.source && image.src === published.src; });
    editor.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); if (!go.disabled) draw(); }
    });
  }
  document.querySelectorAll("div.cell.tag_view").forEach(wireFigure);

  // --- parameters: the same rules as the server's, so that a slip is seen while typing ----------------
  function check(p, value) {
    const wrong = (text) => { throw new Failure(`${p.name}${text}`); };
    const one = (v) => {
      if (p.scalar === "int" && !Number.isSafeInteger(v)) wrong(": must be a whole number");
      if (p.scalar === "float" && !Number.isFinite(v)) wrong(": must be a number");
      if (p.low !== null && typeof v === "number") {
        const low = p.low_open ? v > p.low : v >= p.low, high = p.high_open ? v < p.high : v <= p.high;
        if (!low || !high) wrong(` = ${v}: must lie in ${p.range}`);
      }
      return v;
    };
    if (value === null) return p.optional ? null : wrong(": must not be empty");
    if (!p.many) return one(value);
    return value.length ? value.map(one) : wrong(": a list must not be empty");
  }
  const number = (text) => (/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : NaN);
  function read(p, control) {
    if (p.scalar === "bool") return control.checked;
    const text = control.value.trim();
    if (p.scalar === "choice") return control.value === "" ? null : p.choices[Number(control.value)];
    if (text === "" && p.scalar !== "str") {
      if (control.validity?.badInput) throw new Failure(`${p.name}: must be a number`);
      return p.many ? [] : null;
    }
    if (p.many) return text.replace(/^\[|\]$/g, "").split(",").map((t) => t.trim()).filter((t) => t !== "").map((t) => (p.scalar === "str" ? t : number(t)));
    return p.scalar === "str" ? text : number(text);
  }
  const say = (p, value) => (value === null ? "" : p.many ? value.join(", ") : p.scalar === "choice" ? String(p.choices.indexOf(value)) : String(value));
  const said = (value) => (value === null ? "derived" : Array.isArray(value) ? value.join(", ") : value === true ? "on" : value === false ? "off" : String(value));
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  function makeField(p, changed) {
    const id = `p-${p.name}`;
    let control, slider = null;
    if (p.scalar === "bool") control = el("input", { type: "checkbox", role: "switch", id });
    else if (p.scalar === "choice") control = el("select", { id }, p.optional ? el("option", { value: "" }, "none") : null, ...p.choices.map((c, i) => el("option", { value: i }, String(c))));
    else if (p.many || p.scalar === "str") control = el("input", { type: "text", id, autocomplete: "off", spellcheck: "false" });
    else {
      const step = p.scalar === "int" ? 1 : 10 ** Math.floor(Math.log10((p.high - p.low) / 100));
      control = el("input", { type: "number", id, step: p.scalar === "int" ? 1 : "any", placeholder: p.optional ? "derived" : null, inputmode: p.scalar === "int" ? "numeric" : "decimal" });
      if (p.low !== null && !p.optional) {
        const grain = p.scalar === "int" ? Math.max(1, Math.round((p.high - p.low) / 1000)) : step;
        slider = el("input", { type: "range", "aria-hidden": "true", tabindex: "-1", step: "any", min: p.low_open ? p.low + grain : p.low, max: p.high_open ? p.high - grain : p.high });
        slider.addEventListener("input", () => {
          const v = Math.min(slider.max, Math.max(slider.min, Math.round(slider.value / grain) * grain));
          control.value = p.scalar === "int" ? Math.round(v) : Number(v.toPrecision(12));
          changed();
        });
      }
    }
    const help = el("small", { id: `help-${p.name}` });
    control.setAttribute("aria-describedby", help.id);
    control.addEventListener("input", changed);
    const box = el("div", { class: "sb-field" }, el("label", { for: id }, p.name), el("span", { class: "sb-control" }, control, slider), help);
    return {
      p, control, box,
      set(value) {
        if (p.scalar === "bool") control.checked = value;
        else control.value = say(p, value);
        this.slide(value);
      },
      slide(value) { if (slider && typeof value === "number" && Number.isFinite(value)) slider.value = value; },
      mend(base, error) {                                                // say what is wrong, or what is allowed and what was published
        control.toggleAttribute("aria-invalid", false);
        if (error) {
          control.setAttribute("aria-invalid", "true");
          help.replaceChildren(el("span", { class: "sb-error" }, error));
          box.classList.remove("sb-field--changed");
          return;
        }
        const value = check(p, read(p, control)), moved = !same(value, base);
        const allowed = p.range ? `${p.many ? "each in " : ""}${p.range}` : p.many ? `list of ${p.scalar}` : "";
        help.textContent = [moved ? `Published: ${said(base)}` : "", allowed, p.help].filter(Boolean).map((t) => (/^[a-z]+[ ,;:]/.test(t) ? t[0].toUpperCase() + t.slice(1) : t)).join(". ").replace(/([^.])$/, "$1.");
        box.classList.toggle("sb-field--changed", moved);
        this.slide(value);
      },
    };
  }

  // --- the panel ------------------------------------------------------------------------------------
  async function panel() {
    let chapter;
    const problem = el("p", { class: "sb-ui sb-error", role: "status" });
    try { chapter = await ask(`/chapters/${slug}`); } catch (error) {
      problem.textContent = error.message;
      place().after(problem);
      return;
    }
    const profiles = new Map(chapter.profiles.map((p) => [p.name, p]));
    const start = profiles.has(chapter.shown) ? chapter.shown : "quick";
    let wanted = null, source = null;                                    // the run that is awaited, and its news
    const fields = chapter.parameters.map((p) => makeField(p, refresh));
    const profile = el("select", { id: "p-profile", "aria-describedby": "help-profile" }, ...[...profiles.keys()].map((n) => el("option", { value: n }, n)));
    const why = el("small", { id: "help-profile" });
    profile.value = start;
    profile.addEventListener("change", () => { fill(); refresh(); });
    const groups = new Map([["", [el("div", { class: "sb-field" }, el("label", { for: profile.id }, "profile"), el("span", { class: "sb-control" }, profile), why)]]]);
    for (const f of fields) groups.set(f.p.group, [...(groups.get(f.p.group) ?? []), f.box]);
    const go = el("button", { class: "sb-btn sb-btn--main", type: "submit" }, "Run"), stop = button("Stop", halt), back = button("Published values", () => { profile.value = start; fill(); refresh(); });
    const bar = el("progress", { max: 1, value: 0, "aria-label": "Progress", hidden: true });
    const status = el("span", { role: "status" });
    stop.disabled = true;
    const form = el("form", { class: "sb-panel sb-ui", "aria-label": "Run this chapter again", novalidate: true },
      ...[...groups].map(([title, boxes]) => el("fieldset", {}, title ? el("legend", {}, title) : null, ...boxes)),
      el("div", { class: "sb-run" }, go, stop, back, bar, status));
    const result = el("div", { class: "sb-result" }), mine = el("div", { class: "sb-mine sb-ui" });
    place().after(el("section", { id: "run-it-again" }, el("h2", {}, "Run it again"), form, result, mine));
    const contents = document.querySelector('.page-toc a[href="#verdicts"], .bd-toc-nav a[href="#verdicts"]')?.closest("li");
    contents?.after(el("li", { class: contents.className }, el("a", { class: "reference internal nav-link", href: "#run-it-again" }, "Run it again")));
    form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });

    const base = () => profiles.get(profile.value).values;
    function fill() { for (const f of fields) f.set(base()[f.p.name]); }
    function refresh() {
      let good = true;
      why.textContent = profiles.get(profile.value).why;
      for (const f of fields) {
        try { f.mend(base()[f.p.name]); } catch (error) { f.mend(null, error.message); good = false; }
      }
      go.disabled = !good || Boolean(wanted);
    }
    function show(text, wrong = false) {
      status.textContent = text;
      status.classList.toggle("sb-error", wrong);
    }
    function address(name) {                                             // the result has an address of its own
      const url = new URL(location.href);
      if (name) url.searchParams.set("run", name); else url.searchParams.delete("run");
      history.replaceState(null, "", url);
    }
    async function submit() {
      const parameters = {};
      for (const f of fields) {
        const value = check(f.p, read(f.p, f.control));
        if (!same(value, base()[f.p.name])) parameters[f.p.name] = value;
      }
      go.disabled = true;
      show("Starting.");
      try {
        const answer = await post("/runs", { slug, profile: profile.value, parameters });
        address(answer.run);
        await attend(answer.run, answer.state);
      } catch (error) {
        const field = fields.find((f) => error.message.startsWith(`${f.p.name} =`) || error.message.startsWith(`${f.p.name}:`));
        refresh();
        if (field) { field.mend(null, error.message); field.control.focus(); show("Not started."); } else show(error.message, true);
      }
    }
    async function attend(name, state) {                                 // follow a run to its end, then show it
      if (state === "done") { await finish(name, "This run was there already."); return; }
      wanted = name;
      stop.disabled = false;
      bar.hidden = false;
      bar.value = 0;
      refresh();
      source?.close();
      source = new EventSource(`${api}/runs/${slug}/${name}/events`);
      const begun = Date.now();
      source.onmessage = ({ data }) => {
        const event = JSON.parse(data);
        const left = event.left == null ? "" : event.left < 1 ? " Nearly done." : ` About ${seconds(event.left)} left.`;
        if (event.event === "queued") show(event.ahead ? `Waiting for ${event.ahead} other ${event.ahead === 1 ? "run" : "runs"}.` : "Starting a kernel.");
        else if (event.event === "start") show((event.how === "redraw" ? "Redrawing from stored frames." : "Running.") + left);
        else if (event.event === "cell" || event.event === "progress") {
          const inside = event.fraction === undefined ? "" : `: ${Math.round(event.fraction * 100)} %`;
          bar.value = (event.k - 1 + (event.fraction ?? 0)) / event.n;
          show(`Cell ${event.k} of ${event.n}, ${event.cell.replaceAll("-", " ")}${inside}.${left}`);
        } else if (event.event === "done" || event.event === "failed") {
          over();
          if (event.event === "done") finish(name, `Done in ${seconds((Date.now() - begun) / 1000)}.`);
          else { address(null); show(event.sentence, event.state !== "stopped"); list(); }
        }
      };
      source.onerror = () => {
        if (source.readyState === EventSource.CLOSED) { over(); show(GONE, true); } else show("The server does not answer; waiting for it.", true);
      };
      list();
    }
    function over() {
      source.close();
      wanted = null;
      stop.disabled = true;
      bar.hidden = true;
      refresh();
    }
    async function halt() {
      if (!wanted) return;
      stop.disabled = true;
      show("Stopping.");
      try { await ask(`/runs/${slug}/${wanted}`, { method: "DELETE" }); } catch (error) { show(error.message, true); }
    }
    async function finish(name, text) {
      try {
        const yours = await ask(`/runs/${slug}/${name}`);
        show(text);
        compare(yours);
      } catch (error) { show(error.message, true); }
      refresh();
      list();
    }

    // --- the comparison -----------------------------------------------------------------------------
    function compare(yours) {
      const published = chapter.published[yours.profile] ?? chapter.published[chapter.shown];
      const salmon = yours.parameters.salmon === true;
      if (!published) { result.replaceChildren(el("p", { class: "sb-ui" }, "Nothing is published to compare with.")); return; }
      const first = published.published ? "Published" : "This page";
      const moved = chapter.parameters.map((p) => p.name).filter((k) => k !== "seed" && k in yours.parameters && !same(yours.parameters[k], published.parameters[k]));
      const what = moved.map((k) => `${k} ${said(yours.parameters[k])} instead of ${said(published.parameters[k])}`);
      if (yours.seed_asked !== null) what.push(`seed ${yours.seed_asked}`);
      const fish = () => (salmon ? [el("span", { class: "sb-v sb-v--salmon" }, "salmon run"), " "] : []);
      const nodes = [el("h3", { tabindex: "-1" }, "Published and yours"),
        el("p", {}, ...fish(), what.length ? `Yours has ${what.join(", ")}.` : "Yours has the published parameters.", yours.seed_asked === null && yours.parameters.seed !== published.parameters.seed ? " Its seed is derived, and another one." : "", published.published ? "" : " Nothing is published yet: this page shows a run of the working copy.",
          yours.profile === "custom" ? " The rules were justified for the published profiles, not for these values." : yours.profile !== published.profile ? ` It is a ${yours.profile} run, beside a ${published.profile} one.` : "")];
      const onPage = new Map([...document.querySelectorAll("figure[id]")].map((f, i) => [f.id, [f, i]]));
      const seek = (name) => onPage.get(name.replaceAll("_", "-")) ?? [null, Infinity];  // Sphinx writes ids with hyphens
      for (const name of Object.keys(yours.figures).sort((a, b) => seek(a)[1] - seek(b)[1])) {
        const there = seek(name)[0], alt = there?.querySelector("img")?.alt ?? name, photo = there?.closest(".tag_photo") ? " sb-photo" : "";
        const number = there?.querySelector(".caption-number")?.textContent.trim() ?? name;
        const one = (r, title, text, extra) => el("figure", {}, el("img", { class: `sb-fig${photo}`, width: there?.querySelector("img")?.naturalWidth || null, height: there?.querySelector("img")?.naturalHeight || null, src: `${api}/runs/${slug}/${r.run}/figures/${name}`, alt: `${title}: ${alt}` }),
          el("figcaption", {}, ...extra, el("b", {}, `${title}.`), ` ${text}`));
        const equal = yours.figures[name] === published.figures[name];
        nodes.push(el("div", { class: "sb-compare full-width", role: "group", "aria-label": `${number}: published and yours` },
          published.figures[name] === undefined ? el("p", { class: "sb-ui" }, "The published run has no such figure.") : one(published, first, `${number}, ${published.profile}.`, []),
          one(yours, "Yours", equal ? "The same drawing." : `${what.slice(0, 3).join(", ") || yours.profile}${what.length > 3 ? ", and more" : ""}.`, fish())));
      }
      const measured = (label, text) => {
        const [estimate, bounds] = text.split(/ (?=\[)/);
        return el("td", { class: "sb-num", "data-l": label }, estimate, bounds ? el("span", { class: "sb-int" }, ` ${bounds}`) : null);
      };
      const rows = yours.claims.map((claim) => {
        const old = published.claims.find((c) => c.id === claim.id);
        const was = old?.verdict === "fragile" ? "supported" : old?.verdict;
        const turned = Boolean(old) && was !== claim.verdict;
        return el("tr", turned ? { class: "sb-turned" } : {},
          el("td", {}, el("b", { class: "sb-id" }, claim.id)), el("td", {}, claim.sentence, claim.verdict === "supported" ? null : el("span", { class: "sb-why" }, claim.because)),
          measured(first, old?.ours ?? "–"), el("td", {}, old ? mark(old.verdict) : "–"),
          measured("Yours", claim.ours),
          el("td", {}, mark(claim.verdict), salmon ? el("span", { class: "sb-note" }, " ", el("span", { class: "sb-v sb-v--salmon" }, "salmon run")) : null,
            yours.profile === "custom" ? el("span", { class: "sb-note" }, " custom") : null, turned ? el("b", { class: "sb-note" }, " changed") : null));
      });
      const turned = rows.filter((r) => r.className).length;
      nodes.push(el("p", {}, rows.length === 1 ? (turned ? "The verdict changed." : "The verdict is the same.") : turned ? `${turned} of ${rows.length} verdicts changed.` : "All verdicts are the same."),
        el("div", { class: "sb-scroll", role: "region", "aria-label": "Verdicts, published and yours", tabindex: "0" },
          el("table", { class: "sb-table sb-stack sb-both" }, el("thead", {}, el("tr", {}, ...["", "Claim", first, "Verdict", "Yours [95 %]", "Verdict"].map((h, i) => el("th", { scope: "col", class: i === 2 || i === 4 ? "sb-num" : null }, h)))), el("tbody", {}, ...rows))),
        el("p", { class: "sb-ui" }, el("a", { href: `${api}/runs/${slug}/${yours.run}/notebook`, download: true }, "Export as an executed notebook"), ". This result has its own address: ", el("a", { href: `?run=${yours.run}` }, `run ${yours.run.slice(0, 12)}`), "."));
      result.replaceChildren(...nodes);
      makeRoom.disconnect();
      for (const wide of result.querySelectorAll(".full-width")) makeRoom.observe(wide);
    }
    const inSight = new Set();                                           // the theme folds its contents list only for what was there when it started
    const makeRoom = new IntersectionObserver((entries) => {
      for (const e of entries) inSight[e.isIntersecting ? "add" : "delete"](e.target);
      for (const node of inSight) if (!node.isConnected) inSight.delete(node);
      document.querySelector(".bd-sidebar-secondary")?.classList.toggle("hide", inSight.size > 0);
    });

    // --- my runs --------------------------------------------------------------------------------------
    async function list() {
      let runs;
      try { runs = await ask(`/runs?slug=${slug}`); } catch { return; }
      const kept = new Set(Object.values(chapter.published).filter((p) => !p.published).map((p) => p.run));
      const rows = runs.map((r) => {
        const changed = Object.entries(r.changed).map(([k, v]) => `${k} ${said(v)}`).join(", ");
        const label = [changed || "as published", r.profile, r.replicate ? `replicate ${r.replicate}` : ""].filter(Boolean).join("; ");
        const busy = r.state === "queued" || r.state === "running";
        const actions = [];
        if (r.state === "done") actions.push(button("Show", async () => { address(r.run); await finish(r.run, "From the store."); result.firstElementChild?.focus(); }),
          el("a", { href: `${api}/runs/${slug}/${r.run}/notebook`, download: true }, "Export"));
        if (busy && r.run !== wanted) actions.push(button("Follow", () => { address(r.run); attend(r.run, r.state); }));
        if (!busy && !kept.has(r.run)) actions.push(sure("Delete", "Delete for good", async () => {
          try { await ask(`/runs/${slug}/${r.run}`, { method: "DELETE" }); } catch (error) { show(error.message, true); }
          if (new URL(location.href).searchParams.get("run") === r.run) { address(null); result.replaceChildren(); }
          list();
        }));
        const when = r.started ? new Date(r.started).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : r.state;
        const marks = r.verdicts ? el("span", { class: "sb-marks", role: "img", "aria-label": r.verdicts.join(", ") }, ...r.verdicts.map((v) => el("span", { class: `sb-v sb-v--${v.replaceAll(" ", "-")}` }))) : el("span", { class: r.state === "failed" ? "sb-error" : "" }, r.message ?? "");
        return el("tr", { "data-run": r.run }, el("td", { "data-l": "When" }, when), el("td", {}, r.changed.salmon ? el("span", { class: "sb-v sb-v--salmon" }, "salmon ") : null, label), el("td", {}, marks), el("td", { class: "sb-actions" }, ...actions));
      });
      mine.replaceChildren(...(rows.length ? [el("details", { open: mine.querySelector("details")?.open ?? false }, el("summary", {}, `Runs of this chapter in your store: ${rows.length}`),
        el("div", { class: "sb-scroll", role: "region", "aria-label": "Runs of this chapter", tabindex: "0" }, el("table", { class: "sb-table sb-stack" }, el("thead", {}, el("tr", {}, ...["When", "What", "Verdicts", ""].map((h) => el("th", { scope: "col" }, h)))), el("tbody", {}, ...rows))))] : []));
    }
    function sure(text, question, act) {                                 // a second press within four seconds
      const b = button(text, () => {
        if (b.textContent === question) { act(); return; }
        b.textContent = question;
        setTimeout(() => { b.textContent = text; }, 4000);
      });
      return b;
    }

    fill();
    refresh();
    const asked = new URL(location.href).searchParams.get("run");
    if (asked && /^[0-9a-f]{12}-[0-9a-f]{12}$/.test(asked)) {
      try {
        const found = await ask(`/runs/${slug}/${asked}`);
        if (found.profile && profiles.has(found.profile)) profile.value = found.profile;
        fill();
        for (const f of fields) if (f.p.name !== "seed" || found.seed_asked !== null) f.set(f.p.name === "seed" ? found.seed_asked : found.parameters[f.p.name]);
        refresh();
        if (found.state === "queued" || found.state === "running") await attend(asked, found.state);
        else if (found.state === "done") { show("From the store."); compare(found); }
        else show(found.message, found.state === "failed");
      } catch (error) { show(error.message, true); }
    }
    list();
  }
  panel();
})();
