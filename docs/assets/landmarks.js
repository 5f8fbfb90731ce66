// The theme puts each program's buttons into a nav of its own: they are no landmarks of the page.
new MutationObserver(() => {
  for (const one of document.querySelectorAll("nav.md-code__nav:not([role])")) one.setAttribute("role", "group");
}).observe(document.documentElement, { childList: true, subtree: true });
