// For those who hear a page instead of seeing it: the words below a label belong to its input, and
// answers are read out as they come.
const annotate = () => {
  document.querySelectorAll(".info-text").forEach((info, at) => {
    const input = info.closest(".block:has(input), .block:has(textarea)")?.querySelector("input, textarea");
    if (!input || input.hasAttribute("aria-describedby")) return;
    const label = info.parentElement.querySelector("[data-testid=block-info]");
    if (label && !input.hasAttribute("aria-label")) input.setAttribute("aria-label", label.innerText.trim());
    info.id ||= `about-${at}`;
    input.setAttribute("aria-describedby", info.id);
  });
  document.querySelectorAll(".live .html-container:not([aria-live])").forEach((place) => {
    place.setAttribute("role", "status");
    place.setAttribute("aria-live", "polite");
  });
};
addEventListener("DOMContentLoaded", () => {
  annotate();
  new MutationObserver(annotate).observe(document.body, { childList: true, subtree: true });
});
