// Keeps a part of the page as things are: the stream says that something changed, and the server draws the part anew.
"use strict";
for (const part of document.querySelectorAll("[data-live]")) {
  let waits = false, again = false;
  const draw = async () => {
    if (waits) { again = true; return; }
    waits = true;
    try {
      const answer = await fetch(part.dataset.live, {headers: {Accept: "text/html"}});
      if (answer.ok && !answer.redirected) part.innerHTML = await answer.text();
    } catch { /* The server is away; the stream comes back when it does. */ }
    // At most one drawing a second, however much happens.
    setTimeout(() => { waits = false; if (again) { again = false; draw(); } }, 1000);
  };
  const stream = new EventSource(part.dataset.stream);
  stream.addEventListener("cluster", draw);
  stream.addEventListener("budget", draw);
  // Costs grow though nothing happens.
  setInterval(() => { if (!document.hidden) draw(); }, 15000);
}
