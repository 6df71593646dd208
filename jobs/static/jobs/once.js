// A second click on a button that sends something does nothing while the first is on its way.
const PATIENCE = 5000;
const sent = new WeakSet();

addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (sent.has(form)) event.preventDefault();
  sent.add(form);
  setTimeout(() => sent.delete(form), PATIENCE);
});
