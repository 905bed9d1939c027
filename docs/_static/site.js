// What the theme leaves out for readers without a mouse or with a narrow screen.
document.addEventListener("DOMContentLoaded", () => {
  for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.ariaLevel = "2";
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
  for (const name of document.querySelectorAll("td code .pre, th code .pre")) breakAfterSigns(name);
  makeScrollersReachable();
  new ResizeObserver(makeScrollersReachable).observe(document.body);
});

/** Code in a table may continue on the next line after a sign, but not before a file's suffix: tables fit into the screen. */
function breakAfterSigns(element) {
  const parts = element.textContent.split(/(?<=[_/=])(?=\w)|(?<=\.)(?=\w)(?!\w{2,5}$)/);
  element.replaceChildren(...parts.flatMap((part, index) => (index ? [document.createElement("wbr"), part] : [part])));
}

/** Code and tables that scroll can be reached, and then scrolled, with the keyboard. */
function makeScrollersReachable() {
  for (const one of document.querySelectorAll("pre, .table-wrapper")) {
    if (one.scrollWidth > one.clientWidth) one.tabIndex = 0;
    else one.removeAttribute("tabindex");
  }
}
