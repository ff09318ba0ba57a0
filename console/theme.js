// Runs before the first paint so that a chosen theme never flashes the other one. A file of its own because the
// Content-Security-Policy forbids inline script.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = localStorage.getItem("fairlead.theme");
    if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  } catch {
    // Storage is blocked: the system's preference stands.
  }
})();
