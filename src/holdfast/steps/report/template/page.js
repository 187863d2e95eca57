const find = document.getElementById("find");
find?.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  for (const row of document.querySelectorAll("#items ~ details tbody tr")) row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
});
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details.figures")) part.open = true; });
// tables that are wider than the screen say so, and can be scrolled by the keyboard
const mark = () => {
  for (const box of document.querySelectorAll(".scroll")) {
    const wide = box.scrollWidth > box.clientWidth + 1;
    box.classList.toggle("wide", wide);
    if (wide) box.tabIndex = 0; else box.removeAttribute("tabindex");
  }
};
mark();
addEventListener("resize", mark);
for (const part of document.querySelectorAll("details")) part.addEventListener("toggle", mark);
