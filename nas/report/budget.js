"use strict";
/* The rule of nas/report/budget.py: the fastest of those that are the best within `resolved`. */
function bestWithin(offers, budgets, resolved) {
  const speed = (offer) => (offer.speed === null ? Infinity : offer.speed);
  const first = (...keys) => (a, b) => {
    for (const key of keys) if (key(a) !== key(b)) return key(a) < key(b) ? -1 : 1;
    return 0;
  };
  const within = offers.filter((offer) =>
    Object.entries(budgets).every(([device, ms]) => device in offer.latency_ms && offer.latency_ms[device] <= ms));
  if (!within.length) return null;
  const loss = (offer) => -offer.quality;
  const trial = (offer) => offer.trial;
  const sharpest = [...within].sort(first(loss, speed, trial))[0];
  const equal = within.filter((offer) =>
    offer === sharpest || (offer.quality >= sharpest.quality - resolved && offer.training !== sharpest.training));
  return { model: equal.sort(first(speed, trial, loss))[0], sharpest };
}
