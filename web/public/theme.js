// Before the first paint: the theme that was picked, if one was. Without it the system's preference holds.
try {
  const theme = localStorage.getItem("besom.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's preference is fine.
}
