"use strict";

const PERIOD = 2000;

// Everything from the node becomes text, never HTML: names of tables and errors are not ours.
function element(tag, className, ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let u = 0;
  for (; n >= 1024 && u < units.length - 1; u++) n /= 1024;
  return (u === 0 ? n : n.toFixed(1)) + " " + units[u];
}

function seconds(s) {
  if (s === 0) return "0 s";
  if (s < 60) return s.toFixed(s < 10 ? 1 : 0) + " s";
  if (s < 3600) return (s / 60).toFixed(1) + " min";
  return (s / 3600).toFixed(1) + " h";
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

function show(s) {
  const leader = s.cluster.leader ? "leader " + s.cluster.leader : "no leader";
  document.getElementById("summary").textContent = "cluster " + s.cluster.id + " · " + leader;
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
      ["Address", "code", (n) => n.address],
      ["Raft entries behind", "number", (n) => String(n.behind)],
    ]),
  ];
  if (s.delays.length) main.push(...section("Delays", s.delays, [
    ["Topic", "", (d) => d.topic],
    ["Delay", "number", (d) => seconds(d.delay_ms / 1000)],
    ["Waiting, at most", "number", (d) => String(d.waiting)],
    ["Next due", "", (d) => (d.next_due ? new Date(d.next_due).toLocaleTimeString() : "nothing")],
    ["Late", "number", (d) => seconds(d.late_seconds)],
  ]));
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
