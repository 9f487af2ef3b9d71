// What every part of the page shares: building elements, icons, the theme, saving files. No request leaves this page.
(() => {
  const PATHS = {
    upload: "M12 16V4m0 0L7 9m5-5 5 5M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3",
    camera: "M4 8h3l2-3h6l2 3h3v11H4zM12 17a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z",
    up: "M12 19V5m-6 6 6-6 6 6", down: "M12 5v14m-6-6 6 6 6-6",
    left: "M19 12H5m6-6-6 6 6 6", right: "M5 12h14m-6-6 6 6-6 6",
    closer: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM16 16l4.5 4.5M11 8v6M8 11h6",
    plus: "M12 5v14M5 12h14", minus: "M5 12h14",
    "turn-left": "M4 5v5h5M4.6 10A8 8 0 1 1 4 13.5", "turn-right": "M20 5v5h-5M19.4 10A8 8 0 1 0 20 13.5",
    reset: "M3 12a9 9 0 1 0 3-6.7M3 4v4h4", eye: "M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6 6.5-10 6.5S2 12 2 12zm10 3a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
    face: "M12 21c4 0 6.5-3.6 6.5-9S16 3 12 3 5.500 6.600 5.500 12 8 21 12 21zM9.500 11v.5M14.500 11v.5M9.500 15.500c1.500 1.200 3.500 1.200 5 0",
    trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13", image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 9.500v.01",
    file: "M6 3h8l4 4v14H6zM14 3v4h4M9 14l3 3 3-3M12 11v6", sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.400 1.400M17.600 17.600 19 19M5 19l1.400-1.400M17.600 6.400 19 5",
    compare: "M12 3v18M4 6h5v12H4zM15 6h5v12h-5", hold: "M9 11V5.500a1.500 1.500 0 0 1 3 0V11m0-1V9a1.500 1.500 0 0 1 3 0v2m0-1a1.500 1.500 0 0 1 3 0v4.500c0 3.600-2.300 6-5.800 6-2.700 0-4.100-1.100-5.300-3.200L5 13.500a1.500 1.500 0 0 1 2.500-1.600L9 14",
    copy: "M9 9h11v11H9zM15 9V4H4v11h5", save: "M12 4v11m0 0 5-5m-5 5-5-5M4 19h16", share: "M17 8a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM7 14.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM17 21a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM9.200 10.800l5.600-4M9.200 13.200l5.600 4",
    undo: "M4 9h10a6 6 0 0 1 0 12h-3M4 9l4-4M4 9l4 4", redo: "M20 9H10a6 6 0 0 0 0 12h3M20 9l-4-4M20 9l-4 4", film: "M4 5h16v14H4zM8 5v14M16 5v14M4 9.700h4M4 14.300h4M16 9.700h4M16 14.300h4", grid: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
    moon: "M20 14.500A8.500 8.500 0 1 1 9.500 4a7 7 0 0 0 10.500 10.500z", check: "M5 12.500 10 17.500 19.500 7",
  };

  const fill = (node, attributes) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    return node;
  };

  const el = (tag, attributes, ...children) => {
    const node = fill(document.createElement(tag), attributes);
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  };

  const svg = (tag, attributes, ...children) => {
    const node = fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes);
    node.append(...children);
    return node;
  };

  const icon = (name) =>
    svg("svg", { viewBox: "0 0 24 24", class: "fl-icon", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));

  const button = (label, attributes, ...children) =>
    el("button", { type: "button", "aria-label": label, title: label, ...attributes }, ...children);

  const save = ({ name, mime, data }) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], { type: mime }));
    el("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  };

  // A data URI as a file, for the clipboard and for sharing.
  const blobOf = (uri) => {
    const [head, data] = uri.split(",");
    return new Blob([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))], { type: head.slice(5).split(";")[0] });
  };

  const tabs = () => [...document.querySelectorAll("#fl-tabs > .tab-wrapper [role=tab]")];
  const openTab = () => tabs().find((tab) => tab.getAttribute("aria-selected") === "true")?.dataset.tabId;
  const goTo = (id) => tabs().find((tab) => tab.dataset.tabId === id)?.click();

  // Presets of attributes: kept in this browser, saved with a project, and brought by one.
  const STORE = "facelab-presets", MOST = 40;
  const presets = {
    stored: () => { try { return JSON.parse(localStorage.getItem(STORE)) || []; } catch { return []; } },
    store: (all) => {
      try { localStorage.setItem(STORE, JSON.stringify(all.slice(-MOST))); } catch { /* a private window */ }
      document.dispatchEvent(new Event("facelab:presets"));
    },
    keep: (added) => {
      const names = added.map((each) => each.name);
      presets.store([...presets.stored().filter((each) => !names.includes(each.name)), ...added]);
    },
  };

  // faces: the library, as its rail shows it. subject: the id of the face that is open. carried: what "Use in …" sent last, as {id, tab}. marked: whether what is saved says "made with AI" for the eye.
  window.facelab = { el, svg, icon, button, save, blobOf, presets, openTab, goTo, unsaved: 0, marked: false, faces: [], subject: null, carried: null };

  // Light or dark: what was chosen here before, else what the system prefers.
  const stored = (() => { try { return localStorage.getItem("facelab-theme"); } catch { return null; } })();
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const setTheme = (dark) => {
    document.body.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    document.querySelector(".fl-theme")?.setAttribute("aria-pressed", String(dark));
  };
  const isDark = () => document.body.classList.contains("dark");
  facelab.toggleTheme = () => {
    setTheme(!isDark());
    try { localStorage.setItem("facelab-theme", isDark() ? "dark" : "light"); } catch { /* a private window */ }
  };
  facelab.applyTheme = () => setTheme(stored ? stored === "dark" : prefersDark.matches);
  document.documentElement.lang = "en";
  addEventListener("DOMContentLoaded", facelab.applyTheme);

  // Gradio gives each radio button of a group another name; one name lets the arrow keys move between them.
  addEventListener("focusin", ({ target }) => {
    const group = target.type === "radio" ? target.closest("fieldset") : null;
    group?.querySelectorAll("input[type=radio]").forEach((each, _, all) => { each.name = all[0].name; });
  });

  // Tabs: one row that scrolls where it must, the open one in sight, arrow keys between them.
  addEventListener("click", ({ target }) => {
    target.closest?.("#fl-tabs > .tab-wrapper [role=tab]")?.scrollIntoView({ block: "nearest", inline: "center", behavior: "smooth" });
  });
  addEventListener("keydown", (event) => {
    const seen = tabs().filter((tab) => !tab.closest(".visually-hidden")), at = seen.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    seen.at(to % seen.length).focus();  // Enter opens it
  });

  // Gradio's panels have no names for screen readers: the open one gets its tab's, which alone the Tab key reaches.
  const namePanel = () => {
    const panel = [...document.querySelectorAll("#fl-tabs > [role=tabpanel]")].find((each) => each.offsetParent);
    const tab = tabs().find((each) => each.getAttribute("aria-selected") === "true");
    if (panel && tab) panel.setAttribute("aria-label", tab.textContent.trim());
    tabs().forEach((each) => { each.tabIndex = each === tab ? 0 : -1; });
    return Boolean(panel && tab);
  };
  new MutationObserver(() => [0, 200, 1000].forEach((wait) => setTimeout(namePanel, wait)))
    .observe(document, { subtree: true, attributeFilter: ["aria-selected"] });
  const begun = new MutationObserver(() => { if (namePanel()) begun.disconnect(); });
  begun.observe(document, { subtree: true, childList: true });

  // A secret of this tab of the browser: a page that is loaded again in it keeps its faces.
  facelab.tab = () => {
    try {
      const known = sessionStorage.getItem("facelab-tab") || Array.from(crypto.getRandomValues(new Uint8Array(16)), (each) => each.toString(16).padStart(2, "0")).join("");
      sessionStorage.setItem("facelab-tab", known);
      return known;
    } catch { return ""; }  // a private window
  };

  // Faces that were made and never saved go with the page: ask before it closes.
  addEventListener("beforeunload", (event) => { if (facelab.unsaved > 0) event.preventDefault(); });
})();
