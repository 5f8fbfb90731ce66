// What the theme's own script adds: each program's buttons are a landmark, which needs a name of its own, and wide
// tables scroll, which the arrow keys do for what has the focus; without a mouse the theme takes it from programs.
new MutationObserver(() => {
  document.querySelectorAll("nav.md-code__nav").forEach((one, index) => {
    if (!one.hasAttribute("aria-label")) one.setAttribute("aria-label", `Program ${index + 1}`);
  });
  for (const one of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex]), pre > code:not([tabindex])")) one.tabIndex = 0;
}).observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ["tabindex"] });
