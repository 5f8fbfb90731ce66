"use strict";
/* The rule of nas/study/picker.py: the fastest of those that are the best within `resolved`. */
function bestWithin(offers, budgets, resolved) {
  const speed = (offer) => (offer.speed === null ? Infinity : offer.speed);
  const first = (...keys) => (a, b) => {
    for (const key of keys) if (key(a) !== key(b)) return key(a) < key(b) ? -1 : 1;
    return 0;
  };
  const within = offers.filter((offer) =>
    Object.entries(budgets).every(([metric, most]) => metric in offer.figures && offer.figures[metric] <= most));
  if (!within.length) return null;
  const loss = (offer) => -offer.quality;
  const trial = (offer) => offer.trial;
  const sharpest = [...within].sort(first(loss, speed, trial))[0];
  const equal = within.filter((offer) =>
    offer === sharpest || (offer.quality >= sharpest.quality - resolved && offer.training !== sharpest.training));
  return { model: equal.sort(first(speed, trial, loss))[0], sharpest };
}
/* The budgets in a page's address, such as #host=33&phone=25.5: those of `devices`, above 0. */
function budgetsIn(fragment, devices) {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  return Object.fromEntries(devices.map((device) => [device, Number(given.get(device))])
    .filter(([, most]) => Number.isFinite(most) && most > 0));
}
/* The fragment that `budgetsIn` reads; "#" where there are none. */
function fragmentOf(budgets) {
  return "#" + new URLSearchParams(Object.entries(budgets).map(([device, most]) => [device, String(most)]));
}
