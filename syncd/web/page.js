// Keeps the page new without a reload: what is open stays open, and the keyboard stays where it was.
"use strict";
const every = 10000;

async function renew() {
  const main = document.querySelector("main");
  if (document.hidden || !main || !main.dataset.renew) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const open = new Set([...main.querySelectorAll("details[open]")].map((one) => one.id));
    const focused = main.contains(document.activeElement) ? document.activeElement.id : "";
    const next = fresh.querySelector("main");
    for (const one of next.querySelectorAll("details")) one.open = open.has(one.id) || one.open;
    main.replaceChildren(...next.childNodes);
    document.title = fresh.title;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    main.classList.remove("old");
  } catch {
    // Old numbers must not look like new ones.
    main.classList.add("old");
  }
}

setInterval(renew, every);
document.addEventListener("visibilitychange", renew);
