// Bets before data: probabilities for the claims of a chapter, then verdicts and Brier scores; alone, or as a class in a room of `seedbook serve`.
(() => {
  "use strict";
  const box = document.getElementById("sb-bets"), source = document.getElementById("sb-bets-data");
  if (!box || !source) return;
  const chapters = JSON.parse(source.textContent).chapters;
  const live = Boolean(document.querySelector('meta[name="seedbook-server"]'));
  const guest = /(^|; )seedbook_guest=1/.test(document.cookie);          // of `seedbook serve`: enters rooms, opens none
  const find = (slug) => chapters.find((c) => c.slug === slug);
  const open = (chapter) => chapter.claims.filter((c) => c.verdict !== "out of scope");      // what can be bet on

  // --- small things -------------------------------------------------------------------------------
  function make(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value === true) node.setAttribute(key, "");
      else if (value !== false && value != null) node.setAttribute(key, value);
    }
    node.append(...children.flat().filter((c) => c != null));
    return node;
  }
  const el = (tag, attributes = {}, ...children) => make(document.createElement(tag), attributes, children);
  const draw = (tag, attributes = {}, ...children) => make(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  const button = (text, onclick, css = "") => el("button", { type: "button", class: `sb-btn ${css}`.trim(), onclick }, text);
  const mark = (verdict) => el("span", { class: `sb-v sb-v--${verdict.replaceAll(" ", "-")}` }, verdict);
  const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
  const when = (stamp) => new Date(stamp).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const list = (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);
  function sure(text, question, act, css) {                                // a second press within four seconds
    const b = button(text, () => {
      if (b.textContent === question) { act(); return; }
      b.textContent = question;
      setTimeout(() => { b.textContent = text; }, 4000);
    }, css);
    return b;
  }

  // --- scores -------------------------------------------------------------------------------------
  const outcome = (verdict) => (verdict === "supported" || verdict === "fragile" ? 1 : 0);   // fragile: the edition supports it
  const brier = (percent, verdict) => (percent / 100 - outcome(verdict)) ** 2;
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const score = (x) => x.toFixed(3);
  const verdicts = (chapter) => Object.fromEntries(open(chapter).map((c) => [c.id, c.verdict]));
  const all = chapters.flatMap(open), share = all.length ? mean(all.map((c) => outcome(c.verdict))) : 0.5;
  const EDGES = [0, 20, 40, 60, 80, 100];
  function bins(bets) {                                                  // of {percent, verdict}: how many, how sure, how often right
    return EDGES.slice(0, -1).map((low, i) => {
      const high = EDGES[i + 1], inside = bets.filter((b) => b.percent >= low && (b.percent < high || high === 100));
      const n = inside.length, k = inside.filter((b) => outcome(b.verdict)).length;
      return { low, high, n, k, said: n ? mean(inside.map((b) => b.percent)) : null };
    }).filter((b) => b.n);
  }
  function wilson(k, n, z = 1.96) {
    const p = k / n, w = 1 + z * z / n, middle = (p + z * z / (2 * n)) / w, half = z / w * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    return [Math.max(0, middle - half), Math.min(1, middle + half)];
  }

  // --- what this browser keeps ----------------------------------------------------------------------
  const KEY = "seedbook-bets";
  let memory = null, lost = "";                                            // where a browser stores nothing, bets live as long as the page
  function load() {
    const empty = { chapters: {}, rooms: {} };
    if (memory) return memory;
    try {
      const found = JSON.parse(localStorage.getItem(KEY));
      return found && typeof found.chapters === "object" && typeof found.rooms === "object" ? found : empty;
    } catch (error) {
      if (error instanceof SyntaxError) return empty;
      lost = "This browser stores nothing for this page: the bets are gone when it is closed.";
      memory = empty;
      return memory;
    }
  }
  function keep(change) {
    const state = load();
    const value = change(state);
    if (!memory) {
      try { localStorage.setItem(KEY, JSON.stringify(state)); } catch {
        lost = "This browser cannot store more for this page: the bets are gone when it is closed.";
        memory = state;
      }
    }
    return value;
  }
  // A chapter's bets: `open` ones that may still change, made on edition `run`; `seen` once verdicts were shown; `done`, frozen.
  const blank = () => ({ run: "", open: {}, seen: null, done: [] });
  const entry = (slug) => ({ ...blank(), ...load().chapters[slug] });
  const edit = (slug, change) => keep((state) => { state.chapters[slug] = { ...blank(), ...state.chapters[slug] }; return change(state.chapters[slug]); });
  function bet(chapter, id, percent) {
    edit(chapter.slug, (e) => {
      if (!Object.keys(e.open).length) e.run = chapter.run;
      if (percent === null) delete e.open[id]; else e.open[id] = percent;
    });
  }
  function openBets(chapter) {                                              // those on claims that are still there
    const { open: placed } = entry(chapter.slug), there = new Set(open(chapter).map((c) => c.id));
    return Object.fromEntries(Object.entries(placed).filter(([id]) => there.has(id)));
  }
  function freeze(chapter, bets, room = null, shown = verdicts(chapter)) {
    edit(chapter.slug, (e) => {
      const at = new Date().toISOString();
      if (Object.keys(bets).length) e.done.push({ run: chapter.run, at, anew: Boolean(e.seen), room, bets, verdicts: shown });
      e.seen ??= at;
      e.open = {};
      e.run = "";
    });
  }
  const scored = (attempt) => Object.entries(attempt.bets).map(([id, percent]) => ({ id, percent, verdict: attempt.verdicts[id] }));
  const history = () => Object.values(load().chapters).flatMap((e) => (e.done ?? []).filter((a) => !a.anew).flatMap(scored));

  // --- drawings -------------------------------------------------------------------------------------
  function strip(bets, own, verdict, many = true) {                          // bets from 0 to 100 %, one dot each; the outcome at its end
    const x = (p) => 14 + 2.92 * p, end = x(100 * outcome(verdict));
    const stacks = new Map();
    for (const p of bets) stacks.set(Math.round(p / 2), (stacks.get(Math.round(p / 2)) ?? 0) + 1);
    const step = Math.min(7, 42 / Math.max(...stacks.values(), 1)), height = Math.max(...stacks.values(), 1) * step + 12, base = height - 6;
    const placed = new Map();
    const dots = bets.map((p) => {
      const k = Math.round(p / 2), up = placed.get(k) ?? 0;
      placed.set(k, up + 1);
      return draw("circle", { class: many ? "one" : "own", cx: x(p), cy: base - up * step, r: many ? 3.2 : 4 });
    });
    const m = bets.length ? mean(bets) : null;
    const label = many ? `${count(bets.length, "bet")} from ${Math.min(...bets)} to ${Math.max(...bets)} %, mean ${m.toFixed(0)} %${own == null ? "" : `, yours ${own} %`}; the outcome lies at ${100 * outcome(verdict)} %`
      : `your bet ${bets[0]} %; the outcome lies at ${100 * outcome(verdict)} %`;
    return draw("svg", { class: "sb-strip", viewBox: `0 0 320 ${height}`, height, role: "img", "aria-label": label },
      draw("path", { class: "axis", d: `M${x(0)} ${base}H${x(100)}` }), draw("path", { class: "end", d: `M${end} ${base - 6}V${base + 6}` }),
      dots, many ? draw("path", { class: "mean", d: `M${x(m)} ${base - 6}V${base + 6}` }) : null,
      many && own != null ? draw("circle", { class: "ring", cx: x(own), cy: base, r: 5 }) : null);
  }
  function calibration(bets, title, caption, bars) {
    const found = bins(bets), x = (p) => 46 + 2.4 * p, y = (p) => 266 - 2.4 * p;
    const label = found.map((b) => `bets from ${b.low} to ${b.high} %: ${b.k} of ${b.n} supported`).join("; ");
    const ticks = EDGES.flatMap((p) => [
      draw("text", { x: x(p), y: 284, "text-anchor": "middle" }, String(p)), draw("text", { x: 38, y: y(p) + 4, "text-anchor": "end" }, String(p)),
      draw("path", { class: "axis", d: `M${x(p)} 266v4M46 ${y(p)}h-4` })]);
    const dots = found.flatMap((b) => {
      const [low, high] = wilson(b.k, b.n);
      return [bars ? draw("path", { class: "ci", d: `M${x(b.said)} ${y(100 * low)}V${y(100 * high)}` }) : null,
        draw("circle", { class: "own", cx: x(b.said), cy: y(100 * b.k / b.n), r: 4.5 }),
        draw("text", { x: x((b.low + b.high) / 2), y: 13, "text-anchor": "middle" }, `${b.k}/${b.n}`)];
    });
    return el("figure", { class: "sb-calibration" },
      draw("svg", { viewBox: "0 0 310 320", role: "img", "aria-label": `${title}. ${label}` },
        draw("path", { class: "axis", d: "M46 266H286M46 266V26" }), draw("path", { class: "even", d: `M${x(0)} ${y(0)}L${x(100)} ${y(100)}` }), ticks, dots,
        draw("text", { x: 166, y: 308, "text-anchor": "middle" }, "bet, %"), draw("text", { x: -146, y: 11, transform: "rotate(-90)", "text-anchor": "middle" }, "supported, %")),
      el("figcaption", {}, el("b", {}, `${title}. `), caption));
  }
  function table(heads, rows, label) {
    const css = (i) => (i && i !== heads.length ? "sb-num" : null);
    return el("div", { class: "sb-scroll", role: "region", "aria-label": label, tabindex: "0" }, el("table", { class: "sb-table" },
      el("thead", {}, el("tr", {}, heads.map((h, i) => el("th", { scope: "col", class: css(i) }, h)))),
      el("tbody", {}, rows.map((r) => el("tr", {}, r.map((c, i) => el("td", { class: css(i) }, c)))))));
  }

  // --- the server, where there is one -----------------------------------------------------------------
  const GONE = "The server does not answer. Start `seedbook serve` and open the address that it prints.";
  class Failure extends Error { constructor(text, status) { super(text); this.status = status; } }
  async function ask(path, value) {
    const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] ?? "";
    let answer;
    try {
      answer = await fetch(`/seedbook/api/rooms${path}`, { method: value ? "POST" : "GET", body: value && JSON.stringify(value), headers: { "X-XSRFToken": xsrf, ...(value ? { "Content-Type": "application/json" } : {}) } });
    } catch { throw new Failure(GONE, 0); }
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told;
    throw new Failure(told.message && told.message !== "Forbidden" ? told.message : answer.status === 403 ? "The server was started anew. Open the address that it printed." : `The server answered ${answer.status}.`, answer.status);
  }

  // --- the page ---------------------------------------------------------------------------------------
  const url = () => new URL(location.href).searchParams;
  function address(values) {
    const to = new URL(location.href);
    for (const [key, value] of Object.entries(values)) if (value) to.searchParams.set(key, value); else to.searchParams.delete(key);
    window.history.replaceState(null, "", to);
  }
  let chapter = null, room = null, timer = null;                            // shown; entered, as the server tells it
  const pick = el("select", { id: "bets-chapter" });
  const roomBox = el("div", { class: "sb-room sb-ui", hidden: !live, role: "group", "aria-label": "A room for a class" });
  const place = el("div"), across = el("div");
  box.append(el("div", { class: "sb-controls sb-ui" }, el("label", { for: pick.id }, "Chapter"), pick), roomBox, place, across);
  if (!chapters.length) { box.replaceChildren(el("p", {}, "No chapter has run yet, so there is nothing to bet on.")); return; }

  function fillPick() {
    const parts = [...new Set(chapters.map((c) => c.part))];
    pick.replaceChildren(el("option", { value: "" }, "choose one"), ...parts.map((part) => el("optgroup", { label: part },
      chapters.filter((c) => c.part === part).map((c) => el("option", { value: c.slug }, c.short + (entry(c.slug).seen ? " (revealed)" : ""))))));
    pick.value = chapter?.slug ?? "";
  }
  pick.addEventListener("change", () => { leave(); show(find(pick.value) ?? null); });

  function show(next) {
    chapter = next;
    address({ chapter: chapter?.slug });
    refresh();
  }
  function refresh() {
    fillPick();
    showRoom();
    if (!chapter) place.replaceChildren();
    else {
      const e = entry(chapter.slug), anew = e.seen && (e.again || Object.keys(openBets(chapter)).length);
      place.replaceChildren(el("h3", { class: "sb-bets-title" }, chapter.short), el("p", {}, chapter.question),
        ...(e.seen && !anew ? revealed(e) : betting(Boolean(e.seen))));
    }
    showAcross();
  }

  // --- betting ----------------------------------------------------------------------------------------
  function about(claim) {
    return [el("p", {}, el("b", { class: "sb-id" }, claim.id), claim.sentence),
      el("p", { class: "sb-ui" }, `Paper: ${claim.paper} (${claim.where}).`),
      claim.verdict === "out of scope" ? null : el("p", { class: "sb-ui" }, `Supported if ${claim.rule}.`),
      claim.verdict === "out of scope" ? null : el("details", { class: "sb-ui" }, el("summary", {}, "Why this rule"), `${claim.why[0].toUpperCase()}${claim.why.slice(1)}. Contradicted if ${claim.against}; else inconclusive.`)];
  }
  function field(claim, value) {
    const slider = el("input", { type: "range", min: 0, max: 100, step: 1, "aria-label": `Probability that ${claim.id} is supported, in per cent` });
    const number = el("input", { type: "number", min: 0, max: 100, step: 1, inputmode: "numeric", placeholder: "–", "aria-label": `Per cent for ${claim.id}` });
    const clear = button("Clear", () => { set(null); number.focus(); });
    function set(percent, save = true) {
      slider.toggleAttribute("data-unset", percent === null);
      slider.setAttribute("aria-valuetext", percent === null ? "no bet yet" : `${percent} %`);
      if (percent !== null) slider.value = percent;
      if (document.activeElement !== number || percent === null) number.value = percent ?? "";
      number.removeAttribute("aria-invalid");
      clear.hidden = percent === null;
      if (save) { bet(chapter, claim.id, percent); said(); }
    }
    slider.addEventListener("input", () => set(Number(slider.value)));
    slider.addEventListener("click", () => set(Number(slider.value)));       // a press just where it stood is a bet as well
    slider.addEventListener("keydown", (event) => {                          // the first key starts from an end, not from the middle
      if (!slider.hasAttribute("data-unset")) return;
      if (["ArrowRight", "ArrowUp", "PageUp"].includes(event.key)) slider.value = 0;
      if (["ArrowLeft", "ArrowDown", "PageDown"].includes(event.key)) slider.value = 100;
    });
    number.addEventListener("input", () => {
      const text = number.value.trim(), good = /^\d{1,3}$/.test(text) && Number(text) <= 100;
      if (good) set(Number(text));
      else if (text === "" && !number.validity.badInput) set(null);
      else { set(null, false); bet(chapter, claim.id, null); number.value = text; number.setAttribute("aria-invalid", "true"); said("A bet is a whole number from 0 to 100.", true); }
    });
    set(value ?? null, false);
    return el("div", { class: "sb-bet sb-ui" }, el("span", { class: "sb-ends", "aria-hidden": "true" }, "0 %"), slider, el("span", { class: "sb-ends", "aria-hidden": "true" }, "100 %"), number, el("span", { "aria-hidden": "true" }, "%"), clear);
  }
  let said = () => {}, warned = false;                                     // tells how many bets are placed; whether gaps were mentioned
  function betting(anew) {
    const e = entry(chapter.slug), placed = openBets(chapter), claims = open(chapter), outside = chapter.claims.filter((c) => c.verdict === "out of scope");
    const gone = Object.keys(e.open).filter((id) => !(id in placed));
    const notes = [];
    if (chapter.note) notes.push(`This chapter's run: ${chapter.note}.`);
    if (Object.keys(e.open).length && e.run !== chapter.run) notes.push(`The edition has changed since you began to bet (run ${e.run.slice(0, 12)} then, ${chapter.run.slice(0, 12)} now): look your bets over.${gone.length ? ` ${list(gone)} cannot be bet on any more.` : ""}`);
    if (anew) notes.push("You have seen this chapter's verdicts. These bets are marked as made anew, and stay out of your calibration.");
    const status = el("span", { role: "status" });
    said = (text, wrong = false) => {
      warned = false;
      reveal.textContent = inRoom ? sent() ? "Send again" : "Send to the room" : "Reveal";
      status.textContent = text ?? `${Object.keys(openBets(chapter)).length} of ${claims.length} bets placed.`;
      status.classList.toggle("sb-error", wrong);
    };
    const inRoom = room && room.chapter === chapter.slug && !room.revealed, mine = () => load().rooms[room.code] ?? {}, sent = () => mine().sent;
    const name = inRoom ? el("input", { type: "text", id: "bets-name", maxlength: 40, autocomplete: "off", value: mine().name ?? "" }) : null;
    const missing = () => claims.filter((c) => !(c.id in openBets(chapter))).map((c) => c.id);
    function finish() {
      const left = missing();
      if (left.length === claims.length) { said("Place a bet first.", true); return; }
      if (left.length && !warned) {
        said(`${list(left)} ${left.length === 1 ? "has" : "have"} no bet and will not be scored.`, true);
        warned = true;
        reveal.textContent = "Reveal all the same";
        return;
      }
      freeze(chapter, openBets(chapter));
      edit(chapter.slug, (x) => { delete x.again; });
      refresh();
      place.querySelector(".sb-bets-result")?.focus();
    }
    async function send() {
      const left = missing(), bets = openBets(chapter), here = room;
      if (left.length) { said(`The room needs a bet on every claim: ${list(left)} ${left.length === 1 ? "is" : "are"} missing.`, true); return; }
      reveal.disabled = true;
      try {
        heard(await ask(`/${here.code}/bets`, { member: mine().member, name: name.value, bets, anew }));
        keep((state) => Object.assign(state.rooms[here.code], { sent: bets, anew, name: name.value }));
        said("Your bets are in. You can change them and send again until the reveal.");
      } catch (error) { said(error.message, true); } finally { reveal.disabled = false; }
    }
    const reveal = button("Reveal", () => (inRoom ? send() : finish()), "sb-btn--main");
    const back = anew ? button("Keep the earlier bets", () => { edit(chapter.slug, (x) => { x.open = {}; delete x.again; }); refresh(); }) : null;
    const nodes = [...notes.map((n) => el("p", { class: "sb-ui sb-note" }, n)),
      ...claims.map((c) => el("div", { class: "sb-claim", role: "group", "aria-label": `Claim ${c.id}`, "data-claim": c.id }, about(c), field(c, placed[c.id]))),
      outside.length ? el("h4", {}, "Not bet on") : null, outside.length ? el("p", { class: "sb-ui" }, "Out of scope: this chapter cannot test them, and says so without looking at data.") : null,
      ...outside.map((c) => el("div", { class: "sb-claim", "data-claim": c.id }, about(c))),
      claims.length ? el("div", { class: "sb-run sb-ui" }, name ? el("label", { for: name.id }, "Your name, for the ranking (may be empty)") : null, name, reveal, back, status) : null];
    said(inRoom && sent() ? "Your bets are in. You can change them and send again until the reveal." : undefined);
    return nodes.filter(Boolean);
  }

  // --- after the reveal ---------------------------------------------------------------------------------
  function known(claim, verdict, now) {
    return el("p", { class: "sb-ui sb-known" }, mark(verdict), now && now !== verdict ? [" then, ", mark(now), " in the present edition"] : null, ` · ours ${claim.ours} · paper: ${claim.paper} (${claim.where}). `,
      verdict === "fragile" ? "The edition supports it, and so counts as 1; too few fresh seeds agree. " : null, now !== undefined && now !== verdict ? null : outcome(verdict) === 0 ? `Why: ${claim.because}.` : null);
  }
  function revealed(e) {
    const here = room?.revealed && room.chapter === chapter.slug ? tally() : null, attempt = e.done.at(-1), now = verdicts(chapter);
    const shown = here ? room.verdicts : attempt?.verdicts ?? now, own = attempt && (!here || attempt.run === room.run) ? attempt.bets : {};
    const again = sure("Bet anew", "Bet anew, marked as such", () => { edit(chapter.slug, (x) => { x.again = true; }); refresh(); });
    const notes = [], left = Object.keys(shown).filter((id) => !(id in own));
    if (!attempt) notes.push("You did not bet on this chapter before its verdicts were shown.");
    else {
      notes.push(`Bets of ${when(attempt.at)}, frozen${attempt.room ? `, in room ${attempt.room}` : ""}${attempt.anew ? "; made anew, after the verdicts had been seen" : ""}.`);
      if (attempt.run !== chapter.run) notes.push(`The edition has changed since (run ${attempt.run.slice(0, 12)} then, ${chapter.run.slice(0, 12)} now). ${here ? "Those bets are not shown here." : "The scores are against the verdicts of then; our numbers are those of now."}`);
      else if (left.length) notes.push(`Not scored, for want of a bet: ${list(left)}.`);
    }
    const ids = Object.keys(own).length ? Object.keys(own) : Object.keys(shown), steady = (p) => score(mean(ids.map((id) => brier(p, shown[id]))));
    const summary = table(["", "Mean Brier"], [
      ...(Object.keys(own).length ? [[`You, over ${count(ids.length, "claim")}`, score(mean(ids.map((id) => brier(own[id], shown[id]))))]] : []),
      ...(here ? [["The room's mean bets", score(mean(here.map((c) => c.ofMean)))], [`The bets of ${count(room.members.length, "person", "people")}, one by one`, score(mean(here.map((c) => c.single)))]] : []),
      ["Always 50 %", steady(50)], [`Always ${(100 * share).toFixed(0)} %, this book's share of supported claims`, steady(100 * share)]], "Mean Brier scores");
    summary.classList.add("sb-bets-summary");
    const rows = Object.entries(shown).map(([id, verdict]) => {
      const claim = chapter.claims.find((c) => c.id === id), percent = own[id], r = here?.find((c) => c.id === id);
      if (!claim) return el("div", { class: "sb-claim", "data-claim": id }, el("p", {}, el("b", { class: "sb-id" }, id), "This claim is no longer in the book."), el("p", { class: "sb-ui" }, mark(verdict)));
      return el("div", { class: "sb-claim", "data-claim": id }, el("p", {}, el("b", { class: "sb-id" }, id), claim.sentence), known(claim, verdict, now[id]),
        r ? strip(r.bets, percent, verdict) : percent === undefined ? null : strip([percent], null, verdict, false),
        r ? el("p", { class: "sb-ui sb-of-room" }, `Mean bet ${r.m.toFixed(1)} %, from ${Math.min(...r.bets)} to ${Math.max(...r.bets)} %. Brier of the mean `, el("b", { class: "sb-brier" }, score(r.ofMean)), "; of the single bets, on average ", el("b", { class: "sb-brier" }, score(r.single)), ".") : null,
        percent === undefined ? r ? null : el("p", { class: "sb-ui" }, "No bet.") : el("p", { class: "sb-ui sb-own-bet" }, `You said ${percent} %: Brier (${(percent / 100).toFixed(2)} − ${outcome(verdict)})² = `, el("b", { class: "sb-brier" }, score(brier(percent, verdict)))));
    });
    const outside = chapter.claims.filter((c) => c.verdict === "out of scope").map((c) => el("div", { class: "sb-claim", "data-claim": c.id }, el("p", {}, el("b", { class: "sb-id" }, c.id), c.sentence), el("p", { class: "sb-ui" }, mark(c.verdict), ` · not bet on: ${c.because}.`)));
    return [el("h4", { class: "sb-bets-result", tabindex: "-1" }, "What came out"), ...notes.map((n) => el("p", { class: "sb-ui sb-note" }, n)), ...(here ? [worst(here)] : []), summary, here ? el("p", { class: "sb-ui sb-note" }, "On the lines below, from 0 to 100 %, each dot is a bet, the ring yours, the thin bar their mean, and the thick bar the outcome.") : "", ...rows, ...outside, ...(here ? roomResult(here) : []),
      el("p", { class: "sb-run sb-ui" }, el("a", { href: `../chapters/${chapter.slug}.html` }, "Read the chapter"), again)];
  }

  // --- all chapters -------------------------------------------------------------------------------------
  function csv() {
    const rows = [["chapter", "claim", "sentence", "bet_percent", "verdict", "outcome", "brier", "edition_run", "revealed_at", "anew", "room"]];
    for (const [slug, e] of Object.entries(load().chapters)) {
      const text = (id) => find(slug)?.claims.find((c) => c.id === id)?.sentence ?? "";
      for (const a of e.done ?? []) for (const b of scored(a)) rows.push([slug, b.id, text(b.id), b.percent, b.verdict, outcome(b.verdict), brier(b.percent, b.verdict).toFixed(4), a.run, a.at, a.anew, a.room ?? ""]);
      for (const [id, percent] of Object.entries(e.open ?? {})) rows.push([slug, id, text(id), percent, "", "", "", e.run, "", Boolean(e.seen), ""]);
    }
    return rows.map((r) => r.map((v) => (/[",\n]/.test(v) ? `"${String(v).replaceAll('"', '""')}"` : v)).join(",")).join("\r\n") + "\r\n";
  }
  function save() {
    const link = el("a", { href: URL.createObjectURL(new Blob([csv()], { type: "text/csv" })), download: "seedbook-bets.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  function showAcross() {
    const bets = history(), some = Object.values(load().chapters).some((e) => e.done?.length || Object.keys(e.open ?? {}).length);
    const forget = sure("Forget my bets", "Forget them for good", () => {
      if (room) leave();
      memory = memory && { chapters: {}, rooms: {} };
      try { localStorage.removeItem(KEY); } catch { /* nothing was stored */ }
      refresh();
      pick.focus();
    });
    const tried = Object.values(load().chapters).filter((e) => e.done?.some((a) => !a.anew)).length;
    across.replaceChildren(...[
      bets.length ? el("h3", {}, "How well are you calibrated?") : null,
      bets.length ? calibration(bets, "Your bets", `${count(bets.length, "bet")} on ${count(tried, "chapter")}, mean Brier ${score(mean(bets.map((b) => brier(b.percent, b.verdict))))}. On the dashed line, what you call 70 % comes true 7 times in 10; below it you believed too much, above it too little. At the top, supported of all bets in each fifth. Bars: 95 % intervals (Wilson), which take the bets as independent. Bets made anew are left out.`, true) : null,
      lost ? el("p", { class: "sb-ui sb-error" }, lost) : null,
      some ? el("p", { class: "sb-run sb-ui" }, button("Export as CSV", save), forget) : null].filter(Boolean));
  }

  // --- a room -----------------------------------------------------------------------------------------
  const roomStatus = el("span", { role: "status" });
  const code = el("input", { type: "text", id: "bets-code", size: 6, maxlength: 4, autocomplete: "off", autocapitalize: "characters", spellcheck: "false" });
  const tellRoom = (text, wrong = false) => { roomStatus.textContent = text; roomStatus.classList.toggle("sb-error", wrong); };
  function showRoom() {
    if (!live) return;
    const nodes = [];
    if (room) {
      const mine = load().rooms[room.code] ?? {};
      nodes.push(el("b", { class: "sb-code" }, `Room ${room.code}`));
      if (mine.key && !room.revealed) nodes.push(sure("Reveal to everybody", "Reveal, for good", revealRoom, "sb-btn--main"));
      nodes.push(button("Leave the room", () => { leave(); tellRoom(""); refresh(); }));
    } else {
      nodes.push(el("label", { for: code.id }, "In class: code of the room"), code, button("Enter", () => enter(code.value)));
      if (chapter && !guest) nodes.push(button("Open a room for this chapter", start));
    }
    roomBox.replaceChildren(...nodes, roomStatus);
  }
  code.addEventListener("keydown", (event) => { if (event.key === "Enter") enter(code.value); });
  function membership(name, more = {}) {
    keep((state) => {
      const now = Date.now();
      for (const [k, r] of Object.entries(state.rooms)) if (now - r.at > 864e5) delete state.rooms[k];
      state.rooms[name] = { member: random(), at: now, ...state.rooms[name], ...more };
    });
  }
  async function start() {
    try {
      const { key, ...told } = await ask("", { chapter: chapter.slug });
      keep((state) => { delete state.rooms[told.code]; });                   // a code may come again
      membership(told.code, { key });
      join(told);
    } catch (error) { tellRoom(error.message, true); }
  }
  async function enter(text) {
    const typed = text.trim().toUpperCase();
    if (!/^[A-Z]{4}$/.test(typed)) { tellRoom("A code has four letters.", true); return; }
    try {
      const told = await ask(`/${typed}`);
      membership(told.code);
      join(told);
    } catch (error) { if (error.status === 404) address({ room: null }); tellRoom(error.message, true); }
  }
  function join(told) {
    const its = find(told.chapter);
    if (its?.run !== told.run) { address({ room: null }); tellRoom("The room is about another edition than this page shows. Load the page again.", true); return; }
    clearTimeout(timer);
    room = null;
    chapter = its;
    address({ chapter: its.slug, room: told.code });
    room = { ...told, revealed: false };
    if (!told.revealed) { refresh(); place.querySelector("h3")?.scrollIntoView({ block: "nearest" }); }
    heard(told);
    poll();
  }
  function leave() {
    clearTimeout(timer);
    room = null;
    address({ room: null });
  }
  function heard(told) {
    if (room?.code !== told.code) return;
    const first = told.revealed && !room.revealed;
    room = told;
    if (!told.revealed) { tellRoom(`${count(told.bets, "person has", "people have")} bet. Nobody sees a bet before the reveal.`); return; }
    tellRoom(`Revealed: ${count(told.bets, "person has", "people have")} bet.`);
    if (first) {
      const mine = load().rooms[room.code] ?? {}, e = entry(chapter.slug), kept = e.done.some((a) => a.room === room.code);
      if (!kept) freeze(chapter, mine.sent ?? openBets(chapter), mine.sent ? room.code : null, told.verdicts);
      edit(chapter.slug, (x) => { delete x.again; });
      refresh();
      place.querySelector(".sb-bets-result")?.focus();
    }
  }
  function poll() {
    clearTimeout(timer);
    if (!room || room.revealed) return;
    timer = setTimeout(async () => {
      const asked = room.code;
      try { heard(await ask(`/${asked}`)); } catch (error) {
        if (room?.code !== asked) return;
        tellRoom(error.message, true);
        if (error.status === 404) { leave(); refresh(); return; }
      }
      poll();
    }, 2500);
  }
  async function revealRoom() {
    try { heard(await ask(`/${room.code}/reveal`, { key: load().rooms[room.code].key })); } catch (error) { tellRoom(error.message, true); }
  }
  function tally() {                                                       // per claim: all bets, their mean, and the two scores
    return room.claims.map((id) => {
      const bets = room.members.map((m) => m.bets[id]), verdict = room.verdicts[id], m = mean(bets);
      return { id, bets, verdict, m, ofMean: brier(m, verdict), single: mean(bets.map((p) => brier(p, verdict))) };
    });
  }
  function worst(claims) {
    const c = claims.reduce((a, b) => (b.ofMean > a.ofMean ? b : a));
    return el("p", {}, `The room was most wrong on ${c.id}, where it said ${c.m.toFixed(0)} % on average. The mean bet is never scored worse than the single bets are on average: squaring punishes far misses most, and in the mean, bets that miss on opposite sides cancel before they are squared. The difference is the variance of the bets.`);
  }
  function roomResult(claims) {
    const n = room.members.length, anew = room.members.filter((m) => m.anew).length;
    const named = room.members.filter((m) => m.name).map((m) => ({ ...m, value: mean(claims.map((c) => brier(m.bets[c.id], c.verdict))) })).sort((a, b) => a.value - b.value);
    const rank = (m) => 1 + named.filter((o) => o.value < m.value - 1e-12).length;
    const ranking = named.length ? table(["Name", "Rank", "Mean Brier"], named.map((m) => [m.name + (m.anew ? " (anew)" : ""), String(rank(m)), score(m.value)]), "Ranking") : null;
    ranking?.classList.add("sb-ranking");
    const bets = claims.flatMap((c) => c.bets.map((percent) => ({ percent, verdict: c.verdict })));
    return [anew ? el("p", { class: "sb-ui sb-note" }, `${count(anew, "member had", "members had")} seen these verdicts before; their bets count here all the same.`) : null,
      el("h4", {}, `Room ${room.code}`),
      calibration(bets, "The room's bets", `All bets of ${count(n, "person", "people")} on ${count(claims.length, "claim")}; at the top, supported of all bets in each fifth. No intervals: many bets on few claims are not independent.`, false),
      ranking ? el("h4", {}, "Ranking") : null, ranking].filter(Boolean);
  }

  const wanted = url().get("chapter"), asked = url().get("room");
  const first = find(wanted) ?? null;
  chapter = first;
  refresh();
  if (wanted && !first) place.replaceChildren(el("p", { class: "sb-ui sb-error", role: "status" }, `There is no chapter named ${wanted.slice(0, 60)} to bet on; choose one.`));
  if ((wanted || asked) && !location.hash) (box.closest("section") ?? box).scrollIntoView();
  if (live && asked) enter(asked);
})();
