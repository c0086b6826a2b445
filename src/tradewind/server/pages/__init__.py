"""Pages for people: HTML, of use without JavaScript, and of nobody else's making."""
