"use strict";
(() => {
  const D = JSON.parse(document.getElementById("run").textContent);
  const by = (id) => document.getElementById(id);
  const esc = (text) => String(text).replace(/[&<>"']/g, (c) => "&#" + c.charCodeAt(0) + ";");
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // -- looks: light, dark, or as the system says --------------------------------------------
  const look = by("look");
  const looks = ["auto", "light", "dark"];
  let chosen = "auto";
  try { chosen = localStorage.getItem("redrill-look") || "auto"; } catch { /* a file may not remember */ }
  const wear = () => {
    if (chosen === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    look.textContent = "Colours: " + (chosen === "auto" ? "as the system" : chosen);
  };
  look.addEventListener("click", () => {
    chosen = looks[(looks.indexOf(chosen) + 1) % looks.length];
    try { localStorage.setItem("redrill-look", chosen); } catch { /* as above */ }
    wear();
  });
  wear();

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const code = by(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  // -- words --------------------------------------------------------------------------------
  const trimmed = (text) => text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  const at = (us) => {
    const ms = Math.round((us - D.origin) / 1000);
    return (ms > 0 ? "+" : ms < 0 ? "−" : "") + (Math.abs(ms) / 1000).toFixed(3) + " s";
  };
  const lasting = (us) => us >= 1e6 ? (us / 1e6).toFixed(2) + " s" : us >= 1e4 ? (us / 1e3).toFixed(0) + " ms" : (us / 1e3).toFixed(1) + " ms";
  const word = (index) => D.strings[index];
  const many = (count, noun) => count + " " + noun + (count === 1 ? "" : "s");

  const events = D.events.map(([time, node, kind, story, level, text, short, note], index) => ({
    index, time, node, kind, story: story === 1, level, text: word(text), short: word(short), note: note < 0 ? "" : word(note),
  }));
  const KINDS = D.kinds.map(([name, shape, colour, rank, words]) => ({ name, shape, colour, rank, words }));

  // -- the view -----------------------------------------------------------------------------
  const view = { from: D.window[0], to: D.window[1] };
  const SHORTEST = 2000;
  const show = (from, to) => {
    const [first, last] = D.run;
    const length = clamp(to - from, Math.min(SHORTEST, last - first), last - first);
    view.from = clamp(from, first, last - length);
    view.to = view.from + length;
    tip.hidden = true;
    later();
  };
  const zoom = (factor, around) => {
    const middle = around ?? (view.from + view.to) / 2;
    show(middle - (middle - view.from) * factor, middle + (view.to - middle) * factor);
  };
  const pan = (share) => {
    const step = (view.to - view.from) * share;
    show(view.from + step, view.to + step);
  };
  let asked = false;
  const later = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  };

  // -- drawing ------------------------------------------------------------------------------
  const chart = by("chart"), main = by("main"), overview = by("overview"), tip = by("tip"), voice = by("voice");
  const pen = document.createElement("canvas").getContext("2d");
  const widths = new Map();
  const wide = (text, bold) => {
    const key = (bold ? "b" : " ") + text;
    if (!widths.has(key)) {
      pen.font = (bold ? "600 " : "") + "11px " + getComputedStyle(document.body).fontFamily;
      widths.set(key, pen.measureText(text).width);
    }
    return widths.get(key);
  };

  let left = 140, right = 1000, hits = [];
  const x = (us) => left + (us - view.from) / (view.to - view.from) * (right - left);
  const time = (px) => view.from + (px - left) / (right - left) * (view.to - view.from);
  const seen = (from, to) => to >= view.from && from <= view.to;
  const part = (from, to) => [clamp(x(from), left, right), clamp(x(to), left, right)];

  const rect = (l, t, r, b, fill, more = "") => r - l > 0 && b - t > 0
    ? `<rect x="${l.toFixed(1)}" y="${t.toFixed(1)}" width="${(r - l).toFixed(1)}" height="${(b - t).toFixed(1)}" fill="${fill}" ${more}/>` : "";
  const line = (x1, y1, x2, y2, stroke, more = "") => `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${stroke}" ${more}/>`;
  const text = (px, py, words, kind = "", anchor = "start", size = 11) => `<text x="${px.toFixed(1)}" y="${py.toFixed(1)}" class="${kind}" text-anchor="${anchor}" font-size="${size}">${esc(words)}</text>`;
  const hatched = (l, t, r, b, base, hatch) => rect(l, t, r, b, base) + rect(l, t, r, b, `url(#h-${hatch})`) + rect(l + .5, t + .5, r - .5, b - .5, "none", 'stroke="var(--soft)"');

  const SHAPES = {
    play: "M-4.2-6 6 0-4.2 6Z", up: "M0-6 6.2 5H-6.2Z", diamond: "M0-6.6 6.6 0 0 6.6-6.6 0Z", square: "M-5-5H5V5H-5Z",
    "empty-square": "M-5-5H5V5H-5ZM-2.4-2.4V2.4H2.4V-2.4Z", star: "M0-8 2-2.6 7.6-2.5 3.2 1.1 4.7 6.5 0 3.3-4.7 6.5-3.2 1.1-7.6-2.5-2-2.6Z",
  };
  const mark = (px, py, kind) => {
    const { shape, colour } = KINDS[kind];
    const edge = 'stroke="var(--mark-edge)" stroke-width="1.2"', fill = colour || "var(--mark-ink)";
    const strokes = (path, back, front) => `<path d="${path}" fill="none" stroke="var(--mark-paper)" stroke-width="${back}" stroke-linecap="round"/><path d="${path}" fill="none" stroke="${colour || "var(--ink)"}" stroke-width="${front}" stroke-linecap="round"/>`;
    let body;
    switch (shape) {
      case "ring": body = `<circle r="5.4" fill="${fill}" ${edge}/><circle r="2.3" fill="#fff"/>`; break;
      case "disc": body = `<circle r="5.4" fill="${fill}" ${edge}/>`; break;
      case "dot": body = `<circle r="3" fill="var(--soft)" stroke="var(--paper)"/>`; break;
      case "clock": body = `<circle r="5.4" fill="#fff" ${edge}/><path d="M0-3.6V0H3" fill="none" stroke="#8e3d68" stroke-width="1.8"/>`; break;
      case "cross": body = `<path d="M-4-4 4 4M-4 4 4-4" stroke="#fff" stroke-width="5.2" stroke-linecap="round"/><path d="M-4-4 4 4M-4 4 4-4" stroke="${colour || "#1a1d21"}" stroke-width="2.6" stroke-linecap="round"/>`; break;
      case "bar": body = `<path d="M-2.6-5V5M2.6-5V5" stroke="#fff" stroke-width="4.6"/><path d="M-2.6-5V5M2.6-5V5" stroke="#1a1d21" stroke-width="2.4"/>`; break;
      case "tick": body = strokes("M-5 0-1.4 4 5-4.6", 5.2, 2.6).replace("var(--mark-paper)", "#fff"); break;
      default: body = `<path d="${SHAPES[shape] || SHAPES.square}" fill="${fill}" fill-rule="evenodd" ${edge}/>`;
    }
    return `<g transform="translate(${px.toFixed(1)} ${py.toFixed(1)})">${body}</g>`;
  };

  const ticks = (from, to, l, r) => {
    const seconds = (to - from) / 1e6, room = Math.max((r - l) / 80, 2);
    const steps = [.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
    const step = steps.find((step) => seconds / step <= room) || seconds / room;
    const places = [];
    for (let n = Math.ceil((from - D.origin) / 1e6 / step); n * step <= (to - D.origin) / 1e6 + 1e-9; n++) {
      const value = n * step, us = D.origin + value * 1e6;
      const words = n === 0 ? "0 s" : (n < 0 ? "−" : "+") + trimmed(Math.abs(value).toFixed(4)) + " s";
      places.push([l + (us - from) / (to - from) * (r - l), words, n === 0]);
    }
    return places;
  };

  const ROLE = ["var(--master)", "var(--empty)", "var(--replica)"];
  const TROUBLE = ["stalled", "crashed", "cutoff", "partly"];

  const draw = () => {
    const W = Math.max(chart.clientWidth, 320);
    left = W < 700 ? 86 : 148;
    right = W - 14;
    hits = [];
    let y = 8, out = "";
    const wash = [];
    const area = (l, t, r, b, html) => hits.push({ l, t, r: Math.max(r, l + 3), b, html });

    // Faults.
    const rows = [];
    for (const [from, to, lasts, all, words] of D.faults) {
      if (!seen(from, to)) continue;
      const [l, r] = part(from, to);
      const need = wide(words, true) + 14;
      const start = clamp(Math.min(l + 7, right - need), left, right);
      const end = Math.max(r, start + need);
      let row = rows.findIndex((end) => end < Math.min(l, start) - 6);
      if (row < 0) row = rows.push(0) - 1;
      rows[row] = end;
      const t = y + row * 22;
      out += rect(l, t, Math.max(r, l + 3), t + 18, "var(--fault-bar)") + rect(l, t, l + 3, t + 18, "var(--fault)");
      out += text(start, t + 13, words, "b");
      area(l, t, Math.max(r, start + need), t + 18, `<div class="when">${at(from)}${lasts ? " to " + at(to) + ", " + lasting(to - from) : ""}</div><b>${esc(all)}</b>`);
      wash.push([l, r, from, lasts && to <= view.to]);
    }
    if (rows.length) {
      out += text(left - 12, y + 13, "faults", "soft", "end");
      y += rows.length * 22 + 6;
    }

    // Weather that has no band of its own.
    for (const [name, words, spans] of D.weather) {
      out += text(left - 12, y + 11, name, "soft", "end", left > 100 ? 11 : 9.5) + line(left, y + 7, right, y + 7, "var(--guide)");
      let run = null;
      const tick = () => { if (run) out += rect(run[0], y + 2, Math.max(run[1], run[0] + 1.5), y + 12, "var(--fault-bar)"); };
      for (const [from, to] of spans) {
        if (!seen(from, to)) continue;
        const [l, r] = part(from, to);
        if (run && l < run[1] + 0.75) run[1] = Math.max(run[1], r);
        else { tick(); run = [l, r]; }
      }
      tick();
      const inside = spans.filter(([from, to]) => seen(from, to)).length;
      area(left, y, right, y + 14, `<b>${esc(words)}</b><div>${inside} of them here</div>`);
      y += 17;
    }

    // Failovers.
    for (const { title, won, parts } of D.failovers) {
      const from = parts.length ? parts[0][1] : won, to = parts.length ? parts[parts.length - 1][2] : won;
      if (!seen(from, to)) continue;
      out += text(left - 12, y + 24, title, "soft", "end");
      const leftOut = [];
      let end = left, written = left;
      for (const [name, from, to] of parts) {
        const words = name + " " + lasting(to - from);
        if (!seen(from, to)) { leftOut.push(words); continue; }
        const [l, r] = part(from, to);
        end = Math.max(end, r);
        out += rect(l, y + 17, Math.max(r, l + 1.5), y + 24, `var(--${name})`);
        out += line(l, y + 14, l, y + 27, "var(--ink)") + line(r, y + 14, r, y + 27, "var(--ink)");
        if (wide(words) + 6 <= r - l) {
          out += text((l + r) / 2, y + 12, words, "", "middle");
          written = (l + r + wide(words)) / 2;
        } else leftOut.push(words);
        area(l, y + 4, r, y + 28, `<b>${esc(title)}</b><div>${esc(words)}</div><div class="when">${at(from)} to ${at(to)}</div>`);
      }
      const rest = leftOut.join(" · ");
      if (rest && end + 8 + wide(rest) <= right) out += text(end + 8, y + 24, rest);
      else if (rest && x(from) - 8 - wide(rest) >= left) out += text(x(from) - 8, y + 24, rest, "", "end");
      else if (rest && written + 12 + wide(rest) <= right) out += text(right, y + 12, rest, "", "end");
      y += 34;
    }

    const rules = ticks(view.from, view.to, left, right);
    for (const [px, words, zero] of rules) {
      const anchor = px > right - 20 ? "end" : px < left + 12 ? "start" : "middle";
      if (zero) out += rect(px - wide(words, true) / 2 - 3, y + 2, px + wide(words, true) / 2 + 3, y + 18, "var(--paper)");
      out += text(px, y + 13, words, zero ? "b" : "soft", anchor);
    }
    if (W >= 700) out += text(left - 12, y + 13, "since first fault", "soft", "end");
    y += 22;

    // Lanes.
    const inView = new Map();
    for (const event of events) {
      if (event.node >= 0 && (event.story || details) && event.time >= view.from && event.time <= view.to) {
        if (!inView.has(event.node)) inView.set(event.node, []);
        inView.get(event.node).push(event);
      }
    }
    for (const zone of D.zones) {
      out += rect(0, y, W, y + 22, "var(--raised)") + text(12, y + 15, "zone " + zone.name.replace(/^zone /, ""), "b");
      y += 22;
      for (const number of zone.nodes) {
        out += lane(number, y, inView.get(number) || [], area);
        y += 54;
      }
    }

    if (D.hidden) {
      out += text(left, y + 16, D.hidden + " more nodes, to which less happened, have no lane", "soft");
      y += 24;
    }

    // Slots.
    y += 6;
    out += rect(0, y, W, y + 22, "var(--raised)") + text(12, y + 15, "slots: who would answer a client", "b");
    y += 28;
    for (const row of D.slots) {
      out += text(12, y + 12, row.label, "soft", "start", W < 700 ? 9.5 : 11);
      for (const span of row.spans) {
        const [from, to, served, cutoff, nobody, contested, label] = span;
        if (!seen(from, to)) continue;
        const [l, r] = part(from, to);
        if (r - l < 0.3 && row.spans.length > 400) continue;
        let top = y;
        for (const [count, fill, hatch] of [[served, "var(--served)"], [cutoff, "var(--cutoff)", "cutoff"], [contested, "var(--contested)", "stalled"], [nobody, "var(--nobody)"]]) {
          if (!count) continue;
          const height = Math.max(count / row.count * 16, 1);
          out += rect(l, top, r, top + height, fill) + (hatch ? rect(l, top, r, top + height, `url(#h-${hatch})`) : "");
          top += height;
        }
        const words = word(label);
        if (wide(words, true) + 12 < r - l) {
          const only = nobody === row.count;
          if (cutoff || contested) out += rect(l + 3, y + 1.5, l + 9 + wide(words, true), y + 14.5, "var(--paper)");
          out += `<text x="${(l + 6).toFixed(1)}" y="${y + 12}" font-size="11" class="b"${only ? ' style="fill:var(--on-nobody)"' : ""}>${esc(words)}</text>`;
        }
        out += line(l, y, l, y + 16, "var(--paper)");
        const counts = [[served, "served"], [cutoff, "served only by a node that is cut off"], [contested, "with two claimants"], [nobody, "served by nobody"]];
        area(l, y, r, y + 16, `<b>slots ${esc(row.label)}</b><div>${counts.filter(([n]) => n).map(([n, what]) => many(n, "slot") + " " + what).join("<br>")}</div><div>${esc(words)}</div><div class="when">${at(from)} to ${at(to)}, ${lasting(to - from)}</div>`);
      }
      y += 20;
    }
    y += 6;
    if (D.clients) {
      out += rect(0, y, W, y + 22, "var(--raised)") + text(12, y + 15, "clients", "b");
      y += 28;
      [out, y] = clients(out, y, area);
    }

    // What lies under all of it.
    let under = "";
    for (const [px] of rules) under += line(px, 4, px, y, "var(--guide)");
    for (const [l, r, from, ends] of wash) {
      under += rect(l, 4, r, y, "var(--band)");
      if (from >= view.from) under += line(l, 4, l, y, "var(--fault)", 'stroke-dasharray="4 3"');
      if (ends) under += line(r, 4, r, y, "var(--fault)", 'stroke-dasharray="4 3" stroke-opacity=".6"');
    }
    main.setAttribute("viewBox", `0 0 ${W} ${y}`);
    main.style.height = y + "px";
    by("paint").innerHTML = under + out + cursorRing();
    by("where").textContent = at(view.from) + " to " + at(view.to);
    drawOverview(W);
    if (inList.checked) list();
  };

  const lane = (number, top, marks, area) => {
    const node = D.nodes[number], middle = top + 27;
    let out = text(12, middle + 1, node.name, "b", "start", 13.5);
    if (left > 100) out += text(12, middle + 14, node.address, "soft", "start", 9.5);
    for (const [role, from, to, label] of node.roles) {
      if (!seen(from, to)) continue;
      const [l, r] = part(from, to), half = role === 0 ? 8 : 5;
      out += rect(l, middle - half, r, middle + half, ROLE[role]);
      area(l, middle - 9, r, middle + 11, `<b>${esc(node.name)}</b> ${esc(word(label))}<div class="when">${at(from)} to ${at(to)}</div>`);
    }
    let drawn = [-1, 0];
    for (const [kind, from, to, label] of node.troubles) {
      if (!seen(from, to)) continue;
      const [l, r] = part(from, to);
      if (kind === drawn[0] && r < drawn[1] + 0.5) continue;
      drawn = [kind, Math.max(r, l + 0.5)];
      out += hatched(l, middle - 8, r, middle + 8, kind === 1 ? "var(--gone)" : "var(--pale)", TROUBLE[kind]);
      area(l, middle - 9, r, middle + 9, `<b>${esc(node.name)}</b> ${esc(word(label))}<div class="when">${at(from)} to ${at(to)}, ${lasting(to - from)}</div>`);
    }
    for (const [from, to] of node.fail) {
      if (!seen(from, to)) continue;
      const [l, r] = part(from, to);
      out += rect(l, middle + 7, Math.max(r, l + 1.5), middle + 11, "var(--bad)");
      area(l, middle + 5, r, middle + 13, `<b>${esc(node.name)}</b> cluster_state:fail<div class="when">${at(from)} to ${at(to)}, ${lasting(to - from)}</div>`);
    }

    // Marks at one place are one mark; labels are written where they cover nothing.
    const groups = [];
    for (const event of marks) {
      const last = groups[groups.length - 1], px = x(event.time);
      if (last && px - last.px < 11) last.events.push(event);
      else groups.push({ px, events: [event] });
    }
    for (const group of groups) {
      group.first = group.events.reduce((a, b) => KINDS[b.kind].rank < KINDS[a.kind].rank ? b : a);
      out += mark(group.px, middle, group.first.kind);
      hits.push({ l: group.px - 9, t: middle - 14, r: group.px + 9, b: middle + 14, events: group.events, node: number, px: group.px, py: middle });
    }
    const taken = [];
    const place = (words, places, from, to) => {
      const width = wide(words);
      for (const [px, py, anchor] of places) {
        const l = anchor === "end" ? px - width : px;
        if (l < from || l + width > to || taken.some((box) => box.t === py && box.l < l + width + 5 && l < box.r + 5)) continue;
        taken.push({ l, r: l + width, t: py });
        out += text(px, py, words, "", anchor);
        return true;
      }
      return false;
    };
    const above = middle - 13, below = middle + 22;
    for (const { px, events, first } of [...groups].sort((a, b) => KINDS[a.first.kind].rank - KINDS[b.first.kind].rank)) {
      const story = events.filter((event) => event.story);
      const ranks = [...new Set(story.map((event) => KINDS[event.kind].rank))].sort((a, b) => a - b);
      const least = ranks[Math.min(2, ranks.length - 1)];
      const shorts = [...new Set(story.filter((event) => KINDS[event.kind].rank <= least).map((event) => event.short))];
      if (!shorts.length) continue;
      const places = [[px - 5, above, "start"], [px - 5, below, "start"], [px + 5, above, "end"], [px + 5, below, "end"]];
      place(shorts.join(" · "), places, left, right) || place(first.short, places, left, right);
    }
    for (const [, from, to, label] of node.roles) {
      if (!seen(from, to)) continue;
      const [l, r] = part(from, to);
      place(word(label), [[l + 4, above, "start"], [l + 4, below, "start"]], left, r);
    }
    return out;
  };

  const clients = (out, y, area) => {
    const { bucket, all, kinds, failures, zones } = D.clients;
    const each = (right - left) * bucket / (view.to - view.from);
    const together = Math.max(1, Math.ceil(4 / each));
    const bars = [];
    const firstBar = Math.max(0, Math.floor(view.from / bucket / together));
    for (let bar = firstBar; bar * together * bucket < Math.min(view.to, all.ok.length * bucket); bar++) {
      const sum = { from: bar * together, to: Math.min((bar + 1) * together, all.ok.length), ok: 0, failed: 0, p50: 0, p99: 0, max: 0, lost: 0 };
      for (let i = sum.from; i < sum.to; i++) {
        sum.ok += all.ok[i]; sum.failed += all.failed[i];
        sum.p50 += all.p50[i] * all.ok[i];
        sum.p99 = Math.max(sum.p99, all.p99[i]);
        sum.lost += D.clients.lost[i] || 0;
      }
      if (sum.ok) sum.p50 /= sum.ok;
      sum.l = clamp(x(sum.from * bucket), left, right);
      sum.r = clamp(x(sum.to * bucket), left, right);
      if (sum.r > sum.l) bars.push(sum);
    }
    const mostOk = Math.max(1, ...bars.map((bar) => bar.ok)), mostFailed = Math.max(0, ...bars.map((bar) => bar.failed));
    const anyFailed = all.failed.some((n) => n > 0);
    const base = y + 58, up = 54 / mostOk, down = mostFailed ? Math.min(up, 34 / mostFailed) : up;
    const rate = mostOk * 1e6 / (together * bucket);
    out += text(12, y + 12, "acknowledged", "soft", "start", left > 100 ? 11 : 9.5);
    if (left > 100) out += text(left - 12, y + 12, (rate < 10 ? rate.toFixed(1) : rate < 9999.5 ? Math.round(rate) : Math.round(rate / 1000) + "k") + "/s", "soft", "end");
    if (anyFailed) out += text(12, base + 14, "failed", "soft", "start", left > 100 ? 11 : 9.5);
    for (const bar of bars) {
      const gap = bar.r - bar.l > 2.5 ? .6 : 0;
      out += rect(bar.l, base - bar.ok * up, bar.r - gap, base, "var(--ok)");
      if (bar.failed) out += rect(bar.l, base + 1.5, bar.r - gap, base + 1.5 + Math.max(bar.failed * down, 2), "var(--bad)");
      if (bar.lost) out += rect(bar.l, base - Math.max(bar.lost * up, 2.5), bar.r - gap, base, "var(--ink)");
      const sums = kinds.map((name, kind) => {
        let count = 0;
        for (let i = bar.from; i < bar.to; i++) count += (failures[i] || [])[kind] || 0;
        return [name, count];
      }).filter(([, count]) => count);
      area(bar.l, y, bar.r, base + (anyFailed ? 104 : 68), `<div class="when">${at(bar.from * bucket)} to ${at(bar.to * bucket)}</div><b>${bar.ok}</b> acknowledged, <b>${bar.failed}</b> failed${sums.map(([name, count]) => `<br>${count} × ${esc(name)}`).join("")}${bar.lost ? `<br><b>${bar.lost}</b> acknowledged here and lost` : ""}${bar.ok ? `<br>latency: median ${lasting(bar.p50)}, 99 % ${lasting(bar.p99)}` : ""}`);
    }
    out += line(left, base + .75, right, base + .75, "var(--ink)");
    y = base + (anyFailed ? 44 : 12);

    // Latency, in decades.
    const height = 54, p50s = all.p50.filter((us) => us > 0), p99s = all.p99.filter((us) => us > 0);
    if (p50s.length) {
      const low = Math.floor(Math.log10(Math.max(p50s.reduce((a, b) => Math.min(a, b)), 1)));
      const high = Math.max(Math.ceil(Math.log10(Math.max(p99s.reduce((a, b) => Math.max(a, b)), 10))), low + 1);
      const level = (us) => y + height - clamp((Math.log10(Math.max(us, 1)) - low) / (high - low), 0, 1) * height;
      out += text(12, y + 10, "latency", "soft", "start", left > 100 ? 11 : 9.5);
      if (left > 100) out += text(12, y + 23, "median, 99 %", "soft");
      const each = Math.ceil((high - low + 1) / 4);
      for (let decade = low; decade <= high; decade++) {
        const us = 10 ** decade, py = level(us);
        out += line(left, py, right, py, "var(--guide)");
        if (left > 100 && (decade - low) % each === 0) out += text(left - 12, py + 4, us < 1e3 ? us + " µs" : us < 1e6 ? us / 1e3 + " ms" : us / 1e6 + " s", "soft", "end", 10);
      }
      for (const bar of bars) {
        if (!bar.ok) continue;
        const p50 = level(bar.p50), p99 = level(bar.p99);
        out += rect(bar.l + .4, p99, bar.r - .8, p50, "var(--p99)") + rect(bar.l, p50 - 1.2, bar.r, p50 + 1.2, "var(--p50)");
      }
      y += height + 12;
    }
    for (const zone of zones.length > 1 ? zones : []) {
      out += text(12, y + 10, zone.label, "soft", "start", left > 100 ? 11 : 9.5);
      for (const bar of bars) {
        let ok = 0, failed = 0;
        for (let i = bar.from; i < bar.to; i++) { ok += zone.ok[i]; failed += zone.failed[i]; }
        if (!(ok + failed)) continue;
        const edge = y + 12 * failed / (ok + failed);
        out += rect(bar.l, y, bar.r, edge, "var(--bad)") + rect(bar.l, edge, bar.r, y + 12, "var(--served)");
        area(bar.l, y, bar.r, y + 12, `<b>${esc(zone.label)}</b><div class="when">${at(bar.from * bucket)} to ${at(bar.to * bucket)}</div>${ok} acknowledged, ${failed} failed`);
      }
      y += 17;
    }
    return [out, y + 6];
  };

  const drawOverview = (W) => {
    const [from, to] = D.run, rows = Math.min(D.zones.reduce((sum, zone) => sum + zone.nodes.length, 0), 24), high = rows > 12 ? 3 : 5;
    const px = (us) => left + (us - from) / (to - from) * (right - left);
    const top = 10, bottom = top + rows * high;
    let out = text(left - 12, (top + bottom) / 2 + 4, left > 100 ? "whole run" : "run", "soft", "end"), row = 0;
    for (const zone of D.zones) for (const number of zone.nodes) {
      if (row >= rows) break;
      const y = top + row++ * high, node = D.nodes[number];
      for (const [role, from, to] of node.roles) out += rect(px(from), y, px(to), y + high - 1, ROLE[role], 'opacity=".75"');
      let drawn = [-1, 0];
      for (const [kind, from, to] of node.troubles) {
        if (kind === drawn[0] && px(to) < drawn[1] + 0.5) continue;
        drawn = [kind, Math.max(px(to), px(from) + 0.5)];
        out += rect(px(from), y, px(to), y + high - 1, "var(--paper)") + rect(px(from), y, px(to), y + high - 1, `url(#h-${TROUBLE[kind]})`);
      }
    }
    for (const [from] of D.faults) out += line(px(from), top - 3, px(from), bottom + 2, "var(--fault)", 'stroke-width="1.5"');
    for (const [place, words] of ticks(from, to, left, right)) out += text(place, bottom + 17, words, "soft", place > right - 20 ? "end" : place < left + 12 ? "start" : "middle", 10);
    const l = px(view.from), r = Math.max(px(view.to), l + 4);
    out += rect(left, top - 4, l, bottom + 3, "var(--paper)", 'opacity=".6"') + rect(r, top - 4, right, bottom + 3, "var(--paper)", 'opacity=".6"');
    out += rect(l, top - 5, r, bottom + 4, "none", 'stroke="var(--ink)" stroke-width="1.6" rx="2"');
    overview.setAttribute("viewBox", `0 0 ${W} ${bottom + 24}`);
    overview.style.height = bottom + 24 + "px";
    overview.innerHTML = out;
  };

  // -- pointing -----------------------------------------------------------------------------
  let cursor = null, details = false;
  const LEVEL = ["", ".", "-", "*", "#"];
  const row = (event) => `<div class="row"><span class="when">${at(event.time)}</span> <b>${event.node < 0 ? "" : esc(D.nodes[event.node].name)}</b><div class="log">${LEVEL[event.level] ? LEVEL[event.level] + " " : ""}${esc(event.text)}</div>${event.note ? `<div class="when">${esc(event.note)}</div>` : ""}</div>`;
  const cursorRing = () => {
    if (!cursor) return "";
    const hit = hits.find((hit) => hit.events && hit.events.includes(cursor));
    return hit ? `<circle cx="${hit.px.toFixed(1)}" cy="${hit.py}" r="11" fill="none" stroke="var(--focus)" stroke-width="2.5"/>` : "";
  };
  const under = (px, py) => {
    const inside = hits.filter((hit) => px >= hit.l && px <= hit.r && py >= hit.t && py <= hit.b);
    const marks = inside.filter((hit) => hit.events);
    if (marks.length) return marks.reduce((a, b) => Math.abs(b.px - px) < Math.abs(a.px - px) ? b : a);
    return inside[inside.length - 1];
  };
  const tell = (hit, px, py) => {
    if (!hit) { tip.hidden = true; return; }
    if (hit.events) {
      const most = hit.events.slice(0, 8);
      tip.innerHTML = most.map(row).join("") + (hit.events.length > 8 ? `<div class="row when">and ${hit.events.length - 8} more: zoom in</div>` : "");
    } else tip.innerHTML = hit.html;
    tip.hidden = false;
    const box = chart.getBoundingClientRect(), topOfMain = main.getBoundingClientRect().top - box.top;
    const w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = clamp(px + 16 + w > box.width ? px - w - 16 : px + 16, 4, Math.max(4, box.width - w - 4)) + "px";
    let top = topOfMain + py + 18;
    if (top + h > box.height) top = topOfMain + py - h - 18;
    tip.style.top = Math.max(4, top) + "px";
  };
  const spot = (event) => {
    const box = main.getBoundingClientRect();
    return [(event.clientX - box.left), (event.clientY - box.top)];
  };
  let drag = null;
  main.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    drag = { at: event.clientX, from: view.from, to: view.to, moved: false };
    main.setPointerCapture(event.pointerId);
  });
  main.addEventListener("pointermove", (event) => {
    const [px, py] = spot(event);
    if (drag) {
      const shift = event.clientX - drag.at;
      if (Math.abs(shift) > 3) drag.moved = true;
      if (drag.moved) {
        main.classList.add("panning");
        tip.hidden = true;
        const us = -shift / (right - left) * (drag.to - drag.from);
        show(drag.from + us, drag.to + us);
        return;
      }
    }
    tell(under(px, py), px, py);
  });
  main.addEventListener("pointerup", (event) => {
    main.classList.remove("panning");
    if (drag && !drag.moved) {
      const [px, py] = spot(event);
      const hit = under(px, py);
      if (hit && hit.events) { cursor = hit.events[0]; later(); }
      tell(hit, px, py);
    }
    drag = null;
  });
  main.addEventListener("pointercancel", () => { drag = null; main.classList.remove("panning"); });
  main.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") tip.hidden = true; });
  main.addEventListener("dblclick", (event) => zoom(.5, time(spot(event)[0])));
  main.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoom(Math.exp(clamp(event.deltaY, -60, 60) / 200), time(spot(event)[0]));
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
      event.preventDefault();
      pan((event.deltaX || event.deltaY) / (right - left));
    }
  }, { passive: false });

  let brush = null;
  const runTime = (event) => D.run[0] + (event.clientX - overview.getBoundingClientRect().left - left) / (right - left) * (D.run[1] - D.run[0]);
  overview.addEventListener("pointerdown", (event) => {
    const us = runTime(event);
    brush = us > view.from && us < view.to ? { grip: us - view.from } : { from: us };
    overview.setPointerCapture(event.pointerId);
  });
  overview.addEventListener("pointermove", (event) => {
    if (!brush) return;
    const us = runTime(event);
    if (brush.grip !== undefined) show(us - brush.grip, us - brush.grip + view.to - view.from);
    else if (Math.abs(us - brush.from) > (D.run[1] - D.run[0]) / 200) { brush.drawn = true; show(Math.min(us, brush.from), Math.max(us, brush.from)); }
  });
  overview.addEventListener("pointerup", () => {
    if (brush && brush.grip === undefined && !brush.drawn) {
      const half = (view.to - view.from) / 2;
      show(brush.from - half, brush.from + half);
    }
    brush = null;
  });

  // The keyboard: arrows walk from event to event, plus and minus zoom.
  const walk = (step, sameNode) => {
    const pool = events.filter((event) => event.node >= 0 && (event.story || details) && (!sameNode || !cursor || event.node === cursor.node));
    if (!pool.length) return;
    let place = cursor ? pool.indexOf(cursor) : -1;
    if (place < 0) {
      place = pool.findIndex((event) => event.time >= view.from);
      place = place < 0 ? 0 : place;
    } else place = clamp(place + step, 0, pool.length - 1);
    visit(pool[place]);
  };
  const visit = (event) => {
    cursor = event;
    if (event.time < view.from || event.time > view.to) {
      const half = (view.to - view.from) / 2;
      view.from = clamp(event.time - half, D.run[0], D.run[1] - 2 * half);
      view.to = view.from + 2 * half;
    }
    draw();
    const hit = hits.find((hit) => hit.events && hit.events.includes(event));
    if (hit) tell({ events: [event] }, hit.px, hit.py);
    voice.textContent = (event.node < 0 ? "" : D.nodes[event.node].name + ", ") + at(event.time) + ": " + event.text + (event.note ? " (" + event.note + ")" : "");
  };
  main.addEventListener("keydown", (event) => {
    const keys = {
      ArrowRight: () => event.shiftKey ? pan(.15) : walk(1), ArrowLeft: () => event.shiftKey ? pan(-.15) : walk(-1),
      ArrowDown: () => walk(1, true), ArrowUp: () => walk(-1, true),
      "+": () => zoom(.6, cursor?.time), "=": () => zoom(.6, cursor?.time), "-": () => zoom(1 / .6, cursor?.time),
      0: () => show(...D.window), f: () => show(...D.run), Escape: () => { cursor = null; tip.hidden = true; later(); },
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  main.addEventListener("blur", () => { tip.hidden = true; });

  by("in").addEventListener("click", () => zoom(.6));
  by("out").addEventListener("click", () => zoom(1 / .6));
  by("earlier").addEventListener("click", () => pan(-.3));
  by("later").addEventListener("click", () => pan(.3));
  by("incident").addEventListener("click", () => show(...D.window));
  by("whole").addEventListener("click", () => show(...D.run));
  by("details").addEventListener("change", (event) => { details = event.target.checked; later(); });

  // -- the list -----------------------------------------------------------------------------
  const body = by("rows"), inList = by("in-view"), find = by("find"), who = by("who"), everything = by("everything"), count = by("count");
  let most = 400;
  const list = () => {
    const needle = find.value.trim().toLowerCase(), node = Number(who.value);
    const chosen = events.filter((event) => (everything.checked || event.story)
      && (node < 0 || event.node === node)
      && (!inList.checked || event.time >= view.from && event.time <= view.to)
      && (!needle || (event.text + " " + event.note + " " + KINDS[event.kind].words).toLowerCase().includes(needle)));
    body.innerHTML = chosen.slice(0, most).map((event) => `<tr class="${event.story ? "story" : "detail"}"><td><button type="button" data-event="${event.index}">${at(event.time)}</button></td><td>${event.node < 0 ? "" : esc(D.nodes[event.node].name)}</td><td><span class="log">${LEVEL[event.level] ? LEVEL[event.level] + " " : ""}${esc(event.text)}</span>${event.note ? ` <span class="why">${esc(event.note)}</span>` : ""}</td></tr>`).join("");
    count.textContent = many(chosen.length, "event") + (chosen.length > most ? ", the first " + most + " shown" : "");
    by("more").hidden = chosen.length <= most;
  };
  for (const control of [find, who, everything, inList]) control.addEventListener("input", () => { most = 400; list(); });
  by("more").addEventListener("click", () => { most += 1000; list(); });
  body.addEventListener("click", (click) => {
    const button = click.target.closest("[data-event]");
    if (!button) return;
    const event = events[Number(button.dataset.event)];
    if (!event.story && !details && event.node >= 0) { details = true; by("details").checked = true; }
    chart.scrollIntoView({ block: "nearest" });
    visit(event);
    main.focus({ preventScroll: true });
  });

  new ResizeObserver(later).observe(chart);
  draw();
  list();
})();
