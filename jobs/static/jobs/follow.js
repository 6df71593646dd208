// Fetches the changing part of a job's page each second until the job has ended.
const part = document.getElementById("job");

async function look() {
  try {
    const answer = await fetch(part.dataset.part, { redirect: "manual" });
    if (answer.ok) part.innerHTML = await answer.text();
  } catch {
    // The server may be starting again; the next look will tell.
  }
  follow();
}

function follow() {
  if (!part.querySelector("[data-ended]")) setTimeout(look, 1000);
}

follow();
