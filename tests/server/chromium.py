"""A real Chromium, where the machine has one, and what to look for on a page."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.async_api")
PATH = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(PATH is None, reason="there is no Chromium on the path")

WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > width + 1)
    .map(e => e.tagName + '.' + e.className + ': ' + e.textContent.trim().slice(0, 40));
}"""
"""What makes a page wider than its window."""

SMALL = """() => [...document.querySelectorAll(
    'button, select, summary, input:not([type=hidden]), nav a, .button, .home')]
  .filter(e => e.checkVisibility())
  .map(e => ['checkbox', 'radio'].includes(e.type) ? e.closest('label') : e)
  .filter(e => { const r = e.getBoundingClientRect(); return r.height < 43.9 || r.width < 43.9; })
  .map(e => e.outerHTML.slice(0, 90) + ' ' + JSON.stringify(e.getBoundingClientRect()))"""
"""What a thumb may miss. Links in a sentence are as high as their line."""

NAMELESS = """() => {
  const faults = [];
  for (const e of document.querySelectorAll('input:not([type=hidden]), select, button, textarea')) {
    const name = e.getAttribute('aria-label') || [...(e.labels || [])].map(l => l.textContent).join('').trim()
      || e.textContent.trim();
    if (!name) faults.push('no name: ' + e.outerHTML.slice(0, 100));
  }
  for (const e of document.querySelectorAll('input[type=radio]'))
    if (!e.closest('fieldset')?.querySelector('legend')?.textContent.trim()) faults.push('no legend: ' + e.name);
  for (const e of document.querySelectorAll('[aria-describedby], [aria-labelledby]'))
    for (const id of (e.getAttribute('aria-describedby') || e.getAttribute('aria-labelledby')).split(' '))
      if (!document.getElementById(id)) faults.push('leads nowhere: ' + id);
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push('twice: ' + id);
  for (const e of document.querySelectorAll('a[href^="#"]'))
    if (!document.getElementById(decodeURIComponent(e.getAttribute('href').slice(1))))
      faults.push('to nowhere: ' + e.href);
  for (const e of document.querySelectorAll('svg'))
    if (!e.getAttribute('aria-label')) faults.push('a picture without words');
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
  let last = 1;
  for (const e of document.querySelectorAll('h1, h2, h3, h4')) {
    const level = Number(e.tagName[1]);
    if (level > last + 1) faults.push('skips to ' + e.tagName + ': ' + e.textContent.trim());
    last = level;
  }
  if (!document.documentElement.lang) faults.push('no language');
  return faults;
}"""
"""What somebody who doesn't see the page isn't told."""

FAINT = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  canvas.canvas.width = canvas.canvas.height = 1;
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), e = walker.currentNode.parentElement;
    if (!text || !e.checkVisibility() || ['SCRIPT', 'OPTION', 'TITLE'].includes(e.tagName)) continue;
    const under = [];
    for (let at = e; at; at = at.parentElement) under.unshift(getComputedStyle(at).backgroundColor);
    const style = getComputedStyle(e);
    const [a, b] = [light(paint(under)), light(paint([...under, style.color]))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    const words = ' ' + e.tagName + '.' + e.className + ': ' + text.slice(0, 30);
    if (ratio < (large ? 3 : 4.5)) faint.add(ratio.toFixed(2) + words);
  }
  return [...faint];
}"""
"""What is written too faintly: less than 4.5 to 1, or 3 to 1 where it is large (WCAG 2, AA)."""


@asynccontextmanager
async def opened(**context: Any) -> AsyncIterator[Any]:
    """Open a browser's page; yields it. It keeps what went wrong on it as ``page.wrong``."""
    async with playwright.async_playwright() as driver:
        # Without a sandbox of its own: tests run as root in containers, and see nothing but our own pages.
        browser = await driver.chromium.launch(executable_path=PATH, args=["--no-sandbox"])
        try:
            page = await (await browser.new_context(**context)).new_page()
            page.set_default_timeout(10_000)
            page.wrong = []
            page.on("console", lambda said: page.wrong.append(said.text) if said.type in {"error", "warning"} else None)
            page.on("pageerror", lambda error: page.wrong.append(str(error)))
            page.on("dialog", lambda dialog: page.wrong.append(f"a dialog: {dialog.message}"))
            yield page
        finally:
            await browser.close()
