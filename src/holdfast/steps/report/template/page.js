const find = document.getElementById("find");
find.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  for (const row of document.querySelectorAll("#items ~ details tbody tr")) row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
});
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details.figures")) part.open = true; });
