// Ties the words below a label to its input, for those who hear the page instead of seeing it.
const described = () => {
  document.querySelectorAll(".info-text").forEach((info, at) => {
    const block = info.closest(".block:has(input), .block:has(textarea)");
    const input = block?.querySelector("input, textarea");
    if (!input || input.hasAttribute("aria-describedby")) return;
    info.id ||= `about-${at}`;
    input.setAttribute("aria-describedby", info.id);
  });
};
addEventListener("DOMContentLoaded", () => {
  described();
  new MutationObserver(described).observe(document.body, { childList: true, subtree: true });
});
