// The page is whole without this. It adds what needs a click: the picture fitted to the window, and all
// stages opened or closed at once.
"use strict";

function button(text, press) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", () => press(made));
  return made;
}

const picture = document.querySelector("figure .scroll");
const fit = button("Fit to window", (self) => {
  const fits = picture.classList.toggle("fit");
  self.setAttribute("aria-pressed", String(fits));
});
fit.setAttribute("aria-pressed", "false");
picture.before(fit);

// Where it fits anyway, there is nothing to press.
function offer() {
  fit.hidden = !picture.classList.contains("fit") && picture.scrollWidth <= picture.clientWidth;
}
addEventListener("resize", offer);
offer();

const stages = document.querySelectorAll(".stages details");
document.querySelector(".stages").before(
  button("Close all", (self) => {
    const opens = self.textContent === "Open all";
    stages.forEach((stage) => { stage.open = opens; });
    self.textContent = opens ? "Close all" : "Open all";
  }),
);
