// Puts what stands in the address behind the # into the form, and takes it out of the address: who looks over a
// shoulder, or at the history, doesn't find it. Without this script one copies it by hand.
"use strict";
for (const field of document.querySelectorAll("[data-from-address]")) {
  if (location.hash.length > 1) {
    field.value = decodeURIComponent(location.hash.slice(1));
    field.closest("label").hidden = true;
    history.replaceState(null, "", location.pathname);
  }
}
