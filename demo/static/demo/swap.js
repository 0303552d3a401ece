// Serves every page whose serializer is its own view.
serverpush.on("reload", (html, meta) => {
  serverpush.swap(html, { target: "main" });
  highlight(`[data-instance="${meta.model}:${meta.pk}"]`);
});
