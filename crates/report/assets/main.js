startTheme();
drawFacts(data.summary, data.metrics);
drawResults(data.summary);
startAnswers(data.answers);
startCurves(data.metrics);
startRollouts();
startPairs();
drawRecipe(data.recipe);

// While a run goes on, `percept view` is asked for what is new.
if (data.live) {
  const live = byId("live");
  live.hidden = false;
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const fresh = await (await fetch("/api/metrics")).json();
      live.className = "live";
      if (fresh.metrics.step.length === data.metrics.step.length && JSON.stringify(fresh.summary) === JSON.stringify(data.summary)) return;
      Object.assign(data, fresh);
      offerSteps("filter-step", data.rollout_steps);
      followPairs();
      drawFacts(data.summary, data.metrics);
      drawResults(data.summary);
      drawCurves(data.metrics);
    } catch {
      live.className = "live stale";
    }
  }, 4000);
}
