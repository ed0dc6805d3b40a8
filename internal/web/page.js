"use strict";

const PERIOD = 2000;

// Everything from the node becomes text, never HTML: names of tables and errors are not ours.
function element(tag, className, ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

// Below 0 is what is not known.
function bytes(n) {
  if (n < 0) return "not known";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let u = 0;
  for (; n >= 1024 && u < units.length - 1; u++) n /= 1024;
  return (u === 0 ? n : n.toFixed(1)) + " " + units[u];
}

function seconds(s) {
  if (s < 0) return "not known";
  if (s === 0) return "0 s";
  if (s < 60) return s.toFixed(s < 10 ? 1 : 0) + " s";
  if (s < 3600) return (s / 60).toFixed(1) + " min";
  return (s / 3600).toFixed(1) + " h";
}

// A length of time as one would write it in the file: 30s, 5m, 1h30m, 7d.
function span(ms) {
  let text = "";
  for (const [name, unit] of [["d", 86400000], ["h", 3600000], ["m", 60000]]) {
    if (ms >= unit) text += Math.floor(ms / unit) + name;
    ms %= unit;
  }
  return ms > 0 || text === "" ? text + ms / 1000 + "s" : text;
}

// How far away a time is, rounded up to what is worth knowing.
function due(time) {
  if (!time) return "nothing";
  const left = new Date(time) - Date.now();
  if (left <= 0) return "now";
  const unit = left > 86400000 ? 3600000 : left > 3600000 ? 60000 : 1000;
  return "in " + span(Math.ceil(left / unit) * unit);
}

function grouped(n) {
  return n.toLocaleString("en");
}

// columns: [title, class, cell of a row]; extra: a further row below a row, or null.
function table(columns, rows, extra) {
  const head = element("tr", "", ...columns.map(([title, cls]) => element("th", cls === "number" ? cls : "", title)));
  const body = element("tbody", "");
  for (const row of rows) {
    body.append(element("tr", "", ...columns.map(([, cls, cell]) => element("td", cls, cell(row)))));
    const below = extra && extra(row);
    if (below) {
      const td = element("td", "fault", ...below);
      td.colSpan = columns.length;
      body.append(element("tr", "", td));
    }
  }
  return element("div", "scroll", element("table", "", element("thead", "", head), body));
}

// An error of the program says "what; at risk: which data; to fix: what to do".
function fault(text) {
  if (!text) return null;
  const lines = [];
  for (const [mark, label] of [["; to fix: ", "Fix"], ["; at risk: ", "At risk"]]) {
    const at = text.lastIndexOf(mark);
    if (at < 0) continue;
    lines.unshift(element("p", "", element("b", "", label), element("span", label === "Fix" ? "code" : "", text.slice(at + mark.length))));
    text = text.slice(0, at);
  }
  return [element("p", "", element("b", "", "Error"), text), ...lines];
}

function section(title, rows, columns, extra) {
  return [
    element("h2", "", title),
    rows.length ? table(columns, rows, extra) : element("p", "none", "None."),
  ];
}

// Thousands of tables may have a topic each, and by default all have the same delay.
const MOST_DELAYED = 20;

// Of very many topics of one delay those are kept that are looked for, in their order; a last row is the rest.
function abridged(topics) {
  if (topics.length <= MOST_DELAYED) return topics;
  const worst = [...topics].sort((a, b) => b.lost - a.lost || b.late_seconds - a.late_seconds || b.waiting - a.waiting);
  const kept = new Set(worst.slice(0, MOST_DELAYED));
  const others = topics.filter((d) => !kept.has(d));
  const dues = others.map((d) => d.next_due).filter(Boolean).sort((a, b) => new Date(a) - new Date(b));
  return [...topics.filter((d) => kept.has(d)), {
    topic: "and " + grouped(others.length) + " more",
    delay_ms: topics[0].delay_ms,
    waiting: others.some((d) => d.waiting < 0) ? -1 : others.reduce((sum, d) => sum + d.waiting, 0),
    next_due: dues[0] || null,
    late_seconds: Math.max(...others.map((d) => d.late_seconds)),
    lost: others.reduce((sum, d) => sum + d.lost, 0),
  }];
}

// A delay has one delayer for all of its topics, so most of its errors are the same for all of them.
function delayFaults(topics) {
  return [...new Set(topics.map((d) => d.error).filter(Boolean))].flatMap((error) => {
    const of = topics.filter((d) => d.error === error).map((d) => d.topic);
    const more = of.length > MOST_DELAYED ? " and " + grouped(of.length - MOST_DELAYED) + " more" : "";
    const where = of.length === topics.length ? "delay " + span(topics[0].delay_ms) : of.slice(0, MOST_DELAYED).join(", ") + more;
    return fault(where + ": " + error);
  });
}

function delays(all) {
  if (!all.length) return [];
  const rows = [], below = new Map();
  for (const ms of [...new Set(all.map((d) => d.delay_ms))].sort((a, b) => a - b)) {
    const topics = all.filter((d) => d.delay_ms === ms);
    rows.push(...abridged(topics));
    const faults = delayFaults(topics);
    if (faults.length) below.set(rows[rows.length - 1], faults);
  }
  const columns = [
    ["Topic", "", (d) => d.topic],
    ["Delay", "number", (d) => span(d.delay_ms)],
    ["Waiting, at most", "number", (d) => (d.waiting < 0 ? "not known yet" : grouped(d.waiting))],
    ["Next due", "number", (d) => (d.waiting < 0 && !d.next_due ? "not known yet" : due(d.next_due))],
    ["Late", "number", (d) => element("span", d.late_seconds >= 1 ? "state late" : "", seconds(d.late_seconds))],
  ];
  if (all.some((d) => d.lost > 0)) {
    columns.push(["Lost", "number", (d) => element("span", d.lost > 0 ? "state lost" : "", grouped(d.lost))]);
  }
  return section("Delays", rows, columns, (d) => below.get(d));
}

// At a glance: who leads, and who does not answer.
function headline(cluster) {
  const votes = (n) => n.role !== "learner" && n.role !== "awaited";
  const voters = cluster.nodes.filter(votes);
  const silent = cluster.nodes.filter((n) => !n.reachable);
  const parts = [cluster.leader ? "leader " + cluster.leader : "no leader"];
  if (!cluster.leader && voters.length > 1 && voters.filter((n) => n.reachable).length <= voters.length / 2) parts.push("no majority");
  if (silent.length) parts.push("not answering: " + silent.map((n) => n.id).join(", "));
  return { text: "cluster " + (cluster.id || "without an id yet") + " · " + parts.join(" · "), bad: !cluster.leader || silent.length > 0 };
}

function entries(n, leader) {
  if (!n.reachable) return element("span", "state lost", "no answer");
  if (leader) return String(n.behind);
  return n.behind > 0 ? "at least " + n.behind : "not known";
}

function show(s) {
  const summary = document.getElementById("summary"), head = headline(s.cluster);
  summary.textContent = head.text;
  summary.className = head.bad ? "state lost" : "";
  const main = [
    ...section("Pipelines", s.pipelines, [
      ["Name", "", (p) => p.name],
      ["State", "", (p) => element("span", "state " + p.state, p.state)],
      ["Behind, log", "number", (p) => bytes(p.lag_bytes)],
      ["Behind, time", "number", (p) => seconds(p.lag_seconds)],
      ["Node", "", (p) => p.holder || "none"],
      ["Epoch", "number", (p) => String(p.epoch)],
      ["Position", "code", (p) => p.position || "none yet"],
      ["Tables", "code", (p) => p.tables.join(", ") || "none yet"],
    ], (p) => fault([p.error, ...p.uncovered.map((u) => "not covered: " + u.table + ": " + u.why)].filter(Boolean).join(" · "))),
    ...section("Nodes", s.cluster.nodes, [
      ["Node", "", (n) => n.id],
      ["Role", "", (n) => element("span", n.role, n.role)],
      ["Address", "code", (n) => n.address || "not known"],
      ["Raft entries behind", "number", (n) => entries(n, s.cluster.leader)],
    ], (n) => fault(n.error)),
  ];
  main.push(...delays(s.delays));
  if (s.gaps.length) main.push(...section("Gaps: changes that were not published", s.gaps, [
    ["Pipeline", "", (g) => g.pipeline],
    ["Table", "code", (g) => g.table],
    ["From", "code", (g) => g.from || "its beginning"],
    ["To", "code", (g) => g.to || "now"],
    ["Cause", "", (g) => g.cause],
    ["Fix", "", (g) => g.fix],
  ]));
  document.getElementById("main").replaceChildren(...main);
}

let last = new Date();

function updated(problem) {
  const line = document.getElementById("updated");
  line.className = problem ? "lost" : "";
  line.textContent = problem
    ? "This node does not answer (" + problem + "). Shown is " + last.toLocaleTimeString() + "."
    : "Updated " + last.toLocaleTimeString();
}

async function refresh() {
  try {
    const answer = await fetch("/api/status", { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error("HTTP " + answer.status);
    show(await answer.json());
    last = new Date();
    updated("");
  } catch (problem) {
    updated(problem.message);
  }
  setTimeout(refresh, PERIOD);
}

show(JSON.parse(document.getElementById("status").textContent));
updated("");
setTimeout(refresh, PERIOD);
