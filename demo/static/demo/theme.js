// Loaded before the style sheet, so that no page flashes in the other theme.
{
  const root = document.documentElement;
  const apply = () => {
    root.dataset.theme = localStorage.getItem("theme") ?? "";
  };
  apply();
  addEventListener("storage", apply); // another window, or the page around this frame
}
