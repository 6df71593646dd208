// Where the reader is: a choice of a time zone starts with that of the browser, a time is told in it too.
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;

for (const choice of document.querySelectorAll("select[data-here]")) {
  if ([...choice.options].some((option) => option.value === here)) choice.value = here;
}

for (const time of document.querySelectorAll("time[data-here]")) {
  const told = new Date(time.dateTime).toLocaleString([], {
    weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });
  time.after(` (${told})`);
}
