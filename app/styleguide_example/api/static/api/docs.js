"use strict";

// Its style sheet has a dark mode, and leaves it to the page to switch it on.
const dark = matchMedia("(prefers-color-scheme: dark)");
const followScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followScheme);
followScheme();

SwaggerUIBundle({ url: "../schema/", dom_id: "#swagger-ui", deepLinking: true });
